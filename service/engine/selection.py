"""Which candidates of a step go on and which end, for all sentences of a batch at once.

Shapes: N sentences, K rows of each, C candidates for each row, X all candidates of a sentence.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.engine.hypothesis import EOS

Totals = NDArray[np.float64]
Integers = NDArray[np.int64]


class Selection(NamedTuple):
    """What becomes of the rows."""

    rows_NK: Integers
    """Which row of its sentence each continues."""
    tokens_NK: Integers
    totals_NK: Totals
    """Best first; minus infinity where there is nothing to go on with."""
    ended: list[tuple[int, int, float]]
    """Sentence, row and total of what ends."""

    def copy(self) -> "Selection":
        """Return one whose arrays may be changed."""
        rows_NK, tokens_NK, totals_NK, ended = self
        return Selection(rows_NK.copy(), tokens_NK.copy(), totals_NK.copy(), list(ended))


def select(
    totals_NKC: Totals, tokens_NKC: Integers, is_done_N: NDArray[np.bool_] | None
) -> Selection:
    """Choose the best K of each sentence.

    Args:
        is_done_N: Sentences of which nothing ends any more, if there are any.
    """
    count, width, candidates = totals_NKC.shape
    # All candidates of a sentence side by side.
    totals_NX = totals_NKC.reshape(count, -1)
    tokens_NX = tokens_NKC.reshape(totals_NX.shape)
    is_end_NX = tokens_NX == EOS
    if width * candidates == 1:
        return _select_only(totals_NX, tokens_NX, is_end_NX, is_done_N)
    places_N1 = np.arange(count)[:, None]
    going_NX = np.where(is_end_NX, -np.inf, totals_NX)
    # Where fewer than `width` go on the others are dead, as their totals tell.
    chosen_NK = np.argsort(-going_NX, axis=1, kind="stable")[:, :width]
    totals_NK = going_NX[places_N1, chosen_NK]
    # An EOS counts if it comes before the last of those that stay live.
    is_ended_NX = is_end_NX & (totals_NX > totals_NK[:, -1:])
    if is_done_N is not None:
        is_ended_NX &= ~is_done_N[:, None]
    ended = [
        (n, i // candidates, float(totals_NX[n, i]))
        for n, i in zip(*map(np.ndarray.tolist, np.nonzero(is_ended_NX)), strict=True)
    ]
    return Selection(chosen_NK // candidates, tokens_NX[places_N1, chosen_NK], totals_NK, ended)


def _select_only(
    totals_N1: Totals,
    tokens_N1: Integers,
    is_end_N1: NDArray[np.bool_],
    is_done_N: NDArray[np.bool_] | None,
) -> Selection:
    """See `select`: what it does where there is one row with one candidate."""
    is_ended_N1 = is_end_N1 if is_done_N is None else is_end_N1 & ~is_done_N[:, None]
    ended = [(n, 0, float(totals_N1[n, 0])) for n in np.flatnonzero(is_ended_N1).tolist()]
    going_N1 = np.where(is_end_N1, -np.inf, totals_N1)
    return Selection(np.zeros_like(tokens_N1), tokens_N1, going_N1, ended)
