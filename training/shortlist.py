"""Which target tokens may translate a source token, counted from the training text.

    examples --align--> how probable each target token is for each source token
             --build--> Shortlists: the likeliest few, by source token

Alignment is IBM's Model 1: a target token is explained by one of the source's tokens, each
as good as another, and EM finds which explains what. Tag and EOS are tokens like others: they
take what nothing else explains.

Shapes: N sentences, T target tokens of all of them, L links between a target token and a source
token of one sentence, W different ones among these, R entries of all rows, V the vocabulary.

Source: Brown et al. 1993, "The Mathematics of Statistical Machine Translation", section 4;
shortlists for neural networks: Jean et al. 2015, section 4.3.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.shortlist import Shortlists
from models.tokenizer import BOS
from training.prepare import Examples

Ids = NDArray[np.int64]

ITERATIONS = 5
"""Of EM; after these the probabilities of frequent tokens hardly move."""
MAX_LINKS = 40_000_000
"""Of more, only every so manyth sentence is linked; these take 2 GB and a quarter of a minute."""


@dataclass(frozen=True, slots=True)
class Translations:
    """How probable target tokens are, for each source token: one entry for each pair that met."""

    source_W: Ids
    target_W: Ids
    probability_W: NDArray[np.float64]


def align(examples: Examples, vocabulary_size: int, iterations: int = ITERATIONS) -> Translations:
    """Return how probable each target token is given a source token, by Model 1."""
    pairs_L, start_T = _link(examples, vocabulary_size)
    pairs_W, pair_L = np.unique(pairs_L, return_inverse=True)
    source_W, target_W = np.divmod(pairs_W, vocabulary_size)
    count_T = np.diff([*start_T, len(pair_L)])
    probability_W = np.ones(len(pairs_W))
    for _ in range(iterations):
        share_L = probability_W[pair_L]
        share_L /= np.repeat(np.add.reduceat(share_L, start_T), count_T)
        count_W = np.bincount(pair_L, share_L)
        probability_W = count_W / np.bincount(source_W, count_W)[source_W]
    return Translations(source_W, target_W, probability_W)


def build(
    examples: Examples,
    vocabulary_size: int,
    markers: Sequence[int],
    likeliest: int,
    frequent: int,
    always: Sequence[int] = (),
) -> Shortlists:
    """Return the shortlists of a vocabulary.

    Every token stands in its own row, so that names can be copied and every sentence can end.

    Args:
        markers: Tokens of which every source has one: tags, or EOS. Their rows also hold the
            most frequent target tokens of the sentences that they are in.
        likeliest: Target tokens for each source token.
        frequent: Target tokens for each marker.
        always: Target tokens for every sentence, however rare.
    """
    translations = align(examples, vocabulary_size)
    order_W = np.lexsort((-translations.probability_W, translations.source_W))
    source_W, target_W = translations.source_W[order_W], translations.target_W[order_W]
    first_V = np.searchsorted(source_W, np.arange(vocabulary_size))
    is_kept_W = np.arange(len(order_W)) - first_V[source_W] < likeliest
    all_V = np.arange(vocabulary_size)
    rows = [(all_V, all_V), (source_W[is_kept_W], target_W[is_kept_W])]
    for marker in markers:
        most = np.append(_most_frequent(examples, marker)[:frequent], np.array(always, np.int64))
        rows.append((np.full(len(most), marker), most))
    pairs = np.unique(
        np.concatenate([source * vocabulary_size + target for source, target in rows])
    )
    source_R, target_R = np.divmod(pairs, vocabulary_size)
    offsets = np.searchsorted(source_R, np.arange(vocabulary_size + 1))
    return Shortlists(target_R.astype(np.int32), offsets)


def _link(examples: Examples, vocabulary_size: int) -> tuple[Ids, Ids]:
    """Link every target token with all tokens of its source.

    Returns:
        Of each link, vocabulary size x source token + target token; and where the links of each
        target token begin.
    """
    source, target = examples.source, examples.target
    stride = -(-int(source.lengths @ target.lengths) // MAX_LINKS)
    sentence_T = np.repeat(np.arange(len(target)), target.lengths)
    is_linked_T = (sentence_T % stride == 0) & (target.ids != BOS)
    sentence_T, target_T = sentence_T[is_linked_T], target.ids[is_linked_T].astype(np.int64)
    count_T = source.lengths[sentence_T]
    start_T = np.cumsum(count_T) - count_T
    shift_T = source.offsets[sentence_T] - start_T
    place_L = np.arange(count_T.sum()) + np.repeat(shift_T, count_T)
    pairs_L = source.ids[place_L] * np.int64(vocabulary_size)
    pairs_L += np.repeat(target_T, count_T)
    return pairs_L, start_T


def _most_frequent(examples: Examples, marker: int) -> Ids:
    """Return the target tokens of the sentences whose source has a marker, by frequency."""
    source, target = examples.source, examples.target
    has_marker_N = np.zeros(len(source), np.bool_)
    has_marker_N[np.repeat(np.arange(len(source)), source.lengths)[source.ids == marker]] = True
    is_counted_T = np.repeat(has_marker_N, target.lengths) & (target.ids != BOS)
    count_V = np.bincount(target.ids[is_counted_T])
    return np.argsort(-count_V, kind="stable")[: np.count_nonzero(count_V)]
