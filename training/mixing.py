"""What an epoch reads of a text: how much of it, and which pairs joined to longer examples."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from training.text_recipe import CorpusRecipe

Sides = tuple[list[str], list[str]]
"""Two languages of a text, line by line."""

MAX_JOINED = 3
"""Pairs in one joined example at most."""


def mix(sides: Sides, weight: float, corpus: CorpusRecipe, seed: list[int]) -> Sides:
    """Return the pairs of one epoch, some of them joined; the same seed gives the same.

    A model that saw single sentences only stops after the first. Joined examples teach it to
    go on, and cost nothing: an epoch has as many words as before, in fewer examples.

    Args:
        weight: Times that the text is read; a fraction is a share of it drawn by chance.

    Source: Kondo et al. 2021, "Sentence Concatenation Approach to Data Augmentation for Neural
    Machine Translation", section 3.
    """
    generator = np.random.default_rng(seed)
    drawn = _draw(len(sides[0]), weight, generator)
    lengths = _longer_side(sides)
    groups = list(_group(drawn, corpus, lengths, generator))
    sources, targets = sides
    return (
        [" ".join(sources[i] for i in group) for group in groups],
        [" ".join(targets[i] for i in group) for group in groups],
    )


def _draw(num_pairs: int, weight: float, generator: np.random.Generator) -> NDArray[np.int64]:
    times, share = divmod(weight, 1)
    part = np.sort(generator.permutation(num_pairs)[: round(share * num_pairs)])
    return np.concatenate([np.arange(num_pairs)] * int(times) + [part])


def _longer_side(sides: Sides) -> list[int]:
    """Return the words of the longer side of each pair."""
    return [max(len(one.split()), len(other.split())) for one, other in zip(*sides, strict=True)]


def _group(
    drawn: NDArray[np.int64],
    corpus: CorpusRecipe,
    lengths: list[int],
    generator: np.random.Generator,
) -> Iterator[list[int]]:
    """Yield the pairs of each example; a joined one keeps to the longest side allowed."""
    shuffled = generator.permutation(drawn).tolist() if corpus.joined else drawn.tolist()
    num_joined = round(corpus.joined * len(shuffled))
    yield from ([i] for i in shuffled[num_joined:])
    group: list[int] = []
    words, size = 0, 0
    for i in shuffled[:num_joined]:
        if group and (len(group) == size or words + lengths[i] > corpus.cleaning.max_words):
            yield group
            group, words = [], 0
        if not group:
            size = int(generator.integers(2, MAX_JOINED + 1))
        group.append(i)
        words += lengths[i]
    if group:
        yield group
