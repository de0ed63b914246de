"""The shortlists of the sentences in a batch, and the part of the output layer they need.

Each sentence chooses among its own tokens. The output layer is computed for the tokens of
all sentences together, so its columns are gathered when sentences join, in one piece.

Shapes: U columns, the tokens of all sentences; X tokens of one sentence, padding behind them.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.shortlist import Shortlists
from models.tokenizer import PAD

Ids = NDArray[np.int64]
Feed = dict[str, NDArray[Any]]
Gather = Callable[[Ids], Feed]
"""Returns the columns for some tokens, as inputs of the step."""

# When no more than this share of the sentences is left, columns are gathered anew: it takes
# a twentieth of a step, and with half as many columns a step is a tenth faster.
_LEFT_SHARE = 0.5


class LiveShortlists:
    """The shortlists of a batch: as many as it has sentences, in the same order.

    Args:
        width: Rows of each sentence.
    """

    def __init__(self, shortlists: Shortlists, gather: Gather, width: int) -> None:
        self._shortlists, self._gather, self._width = shortlists, gather, width
        self._shortlist_NX = np.full((0, 0), PAD, np.int64)
        self._lengths_N = np.zeros(0, np.int64)
        # What a token's column is; of tokens that have none it means nothing.
        self._place_V = np.zeros(shortlists.size, np.int64)
        self._num_gathered = 0
        self._columns: Feed = {}
        self.feed: Feed = {}
        """The inputs of the step, by name, as they were last arranged."""

    @property
    def num_tokens(self) -> int:
        """How many tokens a row can choose from, padding included."""
        return self._shortlist_NX.shape[1]

    def append(
        self, sources: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]] | None = None
    ) -> None:
        """Look up the shortlists of newcomers; put them behind those that are there.

        Args:
            wanted: Tokens of each newcomer that its shortlist must have.
        """
        found = [self._shortlists.choose(source) for source in sources]
        if wanted is not None:
            pairs = zip(found, wanted, strict=True)
            found = [np.union1d(each, tokens) if tokens else each for each, tokens in pairs]
        lengths_N = np.append(self._lengths_N, [len(each) for each in found])
        old_NX, first = self._shortlist_NX, len(self._lengths_N)
        shortlist_NX = np.full((len(lengths_N), int(lengths_N.max())), PAD, np.int64)
        shortlist_NX[:first, : old_NX.shape[1]] = old_NX
        for i, each in enumerate(found, first):
            shortlist_NX[i, : len(each)] = each
        self._shortlist_NX, self._lengths_N = shortlist_NX, lengths_N
        self._num_gathered = 0

    def arrange(self, order_N: Ids) -> None:
        """Keep these sentences, in this order; gather columns if it is time to."""
        is_same = np.array_equal(order_N, np.arange(len(self._lengths_N)))
        if is_same and self._num_gathered:
            return
        if not is_same:
            self._lengths_N = self._lengths_N[order_N]
            self._shortlist_NX = self._shortlist_NX[order_N, : int(self._lengths_N.max())]
        if not self._num_gathered or len(order_N) <= _LEFT_SHARE * self._num_gathered:
            self._gather_columns()
        places_N1X = self._place_V[self._shortlist_NX][:, None]
        self.feed = {
            "shortlist_NX": self._shortlist_NX,
            # Here, not in the graph, which would repeat it at every step.
            "places_NKX": np.repeat(places_N1X, self._width, axis=1),
            **self._columns,
        }

    def _gather_columns(self) -> None:
        is_needed_V = np.zeros(len(self._place_V), np.bool_)
        is_needed_V[PAD] = True
        is_needed_V[self._shortlist_NX] = True
        ids_U = np.flatnonzero(is_needed_V)
        self._place_V[ids_U] = np.arange(len(ids_U))
        self._columns = self._gather(ids_U)
        self._num_gathered = len(self._shortlist_NX)
