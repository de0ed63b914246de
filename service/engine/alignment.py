"""Which words stand for each other, as attention has it.

A word of the target is aligned with the words of the source from which its tokens took enough
attention. What went to the target tag or to the end of the source is no word's; a target word
that looked at nothing else is aligned with none.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.normalisation import Span
from service.engine.translation import AlignedSpan

# Scripts that put no space between words have each character for a word.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+(?:['\u2019-][^\W{_UNSPACED}]+)*|\S")
# Of the attention of a target word. At most three source words can have as much.
_MIN_SHARE = 0.3
# What the best source word must have where none has so much.
_MIN_BEST = 0.15


@dataclass(frozen=True, slots=True)
class TokenizedSentence:
    """A sentence and where its tokens stand in it."""

    text: str
    spans: Sequence[Span]
    """[begin, end) of each token, without tag and EOS; empty before the word it belongs to."""


@dataclass(frozen=True, slots=True)
class WordShares:
    """How much of the attention of each target word went to each source word."""

    source_words: Sequence[Span]
    target_words: Sequence[Span]
    shares: NDArray[np.float64]
    """A row for each target word, a column for each source word; rows sum to at most 1."""


def align(
    attention_TS: NDArray[np.float32],
    source: TokenizedSentence,
    target: TokenizedSentence,
    num_tags: int,
) -> list[AlignedSpan]:
    """Return the words of two sentences that stand for each other, in the order of the target.

    Args:
        attention_TS: Of each target token; columns for tags and EOS, and a row for EOS, included.
        num_tags: Columns before those of the source's own tokens.
    """
    found = share(attention_TS, source, target, num_tags)
    if not found.shares.size:
        return []
    shares = found.shares
    is_best = (shares == shares.max(axis=1, keepdims=True)) & (shares >= _MIN_BEST)
    pairs = np.argwhere(is_best | (shares >= _MIN_SHARE)).tolist()
    return [AlignedSpan(*found.source_words[j], *found.target_words[i]) for i, j in pairs]


def share(
    attention_TS: NDArray[np.float32],
    source: TokenizedSentence,
    target: TokenizedSentence,
    num_tags: int,
) -> WordShares:
    """Return the attention between words instead of tokens; see `align`."""
    attention_TS = attention_TS[: len(target.spans), num_tags:][:, : len(source.spans)]
    source_words, target_words = words(source.text), words(target.text)
    shares = np.zeros((len(target_words), len(source_words)))
    if attention_TS.size and shares.size:
        source_of = _words_of_tokens(source.spans, source_words)
        target_of = _words_of_tokens(target.spans, target_words)
        np.add.at(shares, np.ix_(target_of, source_of), attention_TS)
        shares /= np.maximum(np.bincount(target_of, minlength=len(target_words)), 1)[:, None]
    return WordShares(source_words, target_words, shares)


def words(text: str) -> list[Span]:
    """Return where the words of a sentence stand; a sign is a word of its own."""
    return [match.span() for match in _WORD.finditer(text)]


def _words_of_tokens(tokens: Sequence[Span], words: Sequence[Span]) -> list[int]:
    """Return the index of the word that each token begins in, or that follows it."""
    ends = [end for _, end in words]
    return [min(bisect_right(ends, begin), len(words) - 1) for begin, _ in tokens]
