"""Sentences that repeat themselves: what an n-gram block forbids, and where a loop began.

Recurrent decoders sometimes fall into a loop that only the length limit ends. Blocking
n-grams is the caller's choice, for it forbids honest repetitions too; a hypothesis that does
nothing but repeat itself, far beyond its source, is always stopped.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CHECK_STEPS = 16
"""A sentence is looked at for loops whenever its steps are a multiple of this."""

_LONGEST_PERIOD = 8
# A loop has gone round at least three more times, for at least a dozen tokens.
_MIN_SURPLUS_TOKENS = 12
_MIN_SURPLUS_PERIODS = 3
# "no no no ..." may be a faithful translation: it is a loop if the source has no half of it.
_SOURCE_FACTOR = 2


def blocked_tokens(prefix: NDArray[np.int32], size: int) -> set[int]:
    """Return the tokens that would end a second copy of an n-gram of `size` tokens.

    Source: Paulus et al. 2018, "A Deep Reinforced Model for Abstractive Summarization",
    section 2.5, where `size` is 3.
    """
    if len(prefix) < size:
        return set()
    windows = np.lib.stride_tricks.sliding_window_view(prefix, size)
    last = prefix[len(prefix) - size + 1 :]
    return set(windows[(windows[:, :-1] == last).all(axis=1), -1].tolist())


def surplus_tokens(tokens: NDArray[np.int32], source: Sequence[int]) -> int:
    """Return how many tokens at the end only repeat what stands before them; 0 if no loop."""
    period = _period_at_end(tokens)
    if period is None:
        return 0
    differs = np.flatnonzero(tokens[period:] != tokens[:-period])
    surplus = len(tokens) - period - (int(differs[-1]) + 1 if len(differs) else 0)
    is_faithful = surplus <= _SOURCE_FACTOR * _longest_repetition(np.asarray(source))
    return 0 if surplus < _MIN_SURPLUS_PERIODS * period or is_faithful else surplus


def _period_at_end(tokens: NDArray[np.int32]) -> int | None:
    """Return after how many tokens the last dozen came before, if they did."""
    # As lists: nearly always this is all that is computed.
    end = tokens[-_MIN_SURPLUS_TOKENS - _LONGEST_PERIOD :].tolist()
    last = end[-_MIN_SURPLUS_TOKENS:]
    for period in range(1, len(end) - _MIN_SURPLUS_TOKENS + 1):
        if end[-_MIN_SURPLUS_TOKENS - period : -period] == last:
            return period
    return None


def _longest_repetition(tokens: NDArray[np.int64]) -> int:
    """Return the longest run, anywhere, of tokens that equal those a period before."""
    longest = 0
    for period in range(1, min(_LONGEST_PERIOD, len(tokens) - 1) + 1):
        differs = np.flatnonzero(tokens[period:] != tokens[:-period])
        ends = np.concatenate([[-1], differs, [len(tokens) - period]])
        longest = max(longest, int(np.diff(ends).max()) - 1)
    return longest
