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
    surplus, period = _repeated_end(tokens)
    is_loop = surplus >= max(_MIN_SURPLUS_TOKENS, _MIN_SURPLUS_PERIODS * period)
    if not is_loop or surplus <= _SOURCE_FACTOR * _longest_repetition(np.asarray(source)):
        return 0
    return surplus


def _repeated_end(tokens: NDArray[np.int32]) -> tuple[int, int]:
    """Return the tokens at the end that equal those a period before, and this period."""
    found = (0, 1)
    for period in range(1, min(_LONGEST_PERIOD, len(tokens) - 1) + 1):
        differs = tokens[period:] != tokens[:-period]
        same = int(np.argmax(differs[::-1])) if differs.any() else len(differs)
        found = max(found, (same, period), key=lambda each: each[0])
    return found


def _longest_repetition(tokens: NDArray[np.int64]) -> int:
    """Return the longest run, anywhere, of tokens that equal those a period before."""
    longest = 0
    for period in range(1, min(_LONGEST_PERIOD, len(tokens) - 1) + 1):
        differs = np.flatnonzero(tokens[period:] != tokens[:-period])
        ends = np.concatenate([[-1], differs, [len(tokens) - period]])
        longest = max(longest, int(np.diff(ends).max()) - 1)
    return longest
