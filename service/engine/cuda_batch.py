"""A live batch on a GPU: sentences keep their places, and only tokens and scores leave.

    admit: encoder graph -> what the newcomers take along, which stays on the device
    step:  places for the newcomers among those who go on -> one run over all places

A table of places has one of few sizes, so that its runs are captured once and played back. When
the sentences do not fit into it, or would leave most of it empty, they move to another one.

Products over tables of two sizes are rounded differently: unlike on a CPU, the last bits of a
score may depend on how many sentences there are.
"""

from collections.abc import Sequence
from itertools import chain, count

import numpy as np

from models.tokenizer import PAD
from service.engine.cuda_graphs import CudaGraphs, DeviceTensor, Integers, Moves
from service.engine.cuda_table import Table
from service.engine.hypothesis import StepResult
from service.engine.onnx_batch import MASKED, round_up

ROWS = (32, 128, 512, 1024)
"""Sizes of tables, in rows; beyond the last, twice as many as often as needed."""
POSITIONS = 32
"""Least size of a table, in source positions; and twice as many as often as needed."""


class CudaBatch:
    """The rows that the worker of a device decodes with one width of the beam; see `LiveBatch`.

    Args:
        rows: sizes of tables, in rows, ascending.
    """

    def __init__(self, graphs: CudaGraphs, width: int, rows: Sequence[int] = ROWS) -> None:
        self.num_steps = graphs.counts["greedy"] if width == 1 else 1
        self._graphs, self._width, self._sizes = graphs, width, rows
        self._tables: dict[tuple[int, int], Table] = {}
        self.clear()

    def clear(self) -> None:
        """Forget all rows; the tables remain."""
        self._table: Table | None = None
        # Of the sentences of the last step, and then of the newcomers, who have no place yet.
        self._places_N = np.zeros(0, np.int64)
        self._lengths_N = np.zeros(0, np.int32)
        self._newcomers: list[dict[str, DeviceTensor]] = []

    def admit(
        self,
        sources: Sequence[Sequence[int]],
        wanted: Sequence[Sequence[int]] | None = None,
    ) -> range:
        """Encode sources, append one row for each, and return the new rows' indices."""
        lengths_N = np.array([len(source) for source in sources], np.int32)
        source_NS = np.full((len(sources), round_up(int(lengths_N.max()))), PAD, np.int64)
        for i, source in enumerate(sources):
            source_NS[i, : len(source)] = source
        is_padding_NS = np.arange(source_NS.shape[1]) >= lengths_N[:, None]
        mask_NS = np.where(is_padding_NS, MASKED, 0.0)
        with self._graphs.lock:
            self._newcomers.append(self._graphs.encode(source_NS, lengths_N, mask_NS))
        known, placed = len(self._lengths_N), len(self._places_N)
        self._lengths_N = np.concatenate([self._lengths_N, lengths_N])
        first_row = placed * self._width + known - placed
        return range(first_row, first_row + len(sources))

    def step(
        self,
        parents_NK: Integers,
        tokens_NK: Integers,
        candidates: int,
        *,
        with_attention: bool = False,
    ) -> list[StepResult]:
        """Let row k of sentence n continue row `parents_NK[n, k]`; forget all other rows."""
        num_placed = len(self._places_N)
        newcomers_NK = parents_NK - num_placed * self._width
        is_new_NK = newcomers_NK >= 0
        ranks_NK = np.where(is_new_NK, 0, parents_NK % self._width)
        sentences_N = np.where(is_new_NK, num_placed + newcomers_NK, parents_NK // self._width)[
            :, 0
        ]
        with self._graphs.lock:
            table = self._settle(sentences_N)
            rows = table.num_places, self._width
            all_tokens_NK = np.zeros(rows, np.int64)
            all_tokens_NK[self._places_N] = tokens_NK
            if self._width == 1 and candidates == 1:
                found = table.greedy(all_tokens_NK, with_attention=with_attention)
            else:
                # Who sits nowhere continues itself.
                all_parents_NK = np.arange(table.num_places * self._width).reshape(rows)
                all_parents_NK[self._places_N] = self._places_N[:, None] * self._width + ranks_NK
                found = table.beam(
                    all_parents_NK, all_tokens_NK, candidates, with_attention=with_attention
                )
        return [self._select(result) for result in found]

    def _select(self, result: StepResult) -> StepResult:
        scores_NKC, tokens_NKC, attention_NKS = result
        places_N = self._places_N
        attention_NKS = None if attention_NKS is None else attention_NKS[places_N]
        return StepResult(scores_NKC[places_N], tokens_NKC[places_N], attention_NKS)

    def _settle(self, sentences_N: Integers) -> Table:
        """Give places to these sentences, of the last step or behind them newcomers."""
        num_placed, lengths_N = len(self._places_N), self._lengths_N[sentences_N]
        table = self._find_table(len(sentences_N), int(lengths_N.max()))
        is_new_N = sentences_N >= num_placed
        old_places_N = self._places_N[sentences_N[~is_new_N]]
        if table is self._table:
            places_N = np.zeros_like(sentences_N)
            places_N[~is_new_N] = old_places_N
            free = np.setdiff1d(np.arange(table.num_places), old_places_N)
            places_N[is_new_N] = free[: np.count_nonzero(is_new_N)]
        else:
            places_N = np.arange(len(sentences_N))
            if self._table is not None and len(old_places_N):
                moves = self._moves(old_places_N, places_N[~is_new_N])
                self._graphs.join(table.tensors, self._table.tensors, moves)
        self._seat(table, sentences_N - num_placed, places_N)
        self._table, self._places_N, self._lengths_N = table, places_N, lengths_N
        return table

    def _seat(self, table: Table, numbers_N: Integers, places_N: Integers) -> None:
        """Copy the newcomers, numbered in the order they came, to their places."""
        first = 0
        for newcomers in self._newcomers:
            past = first + newcomers["mask_NS"].shape[0]
            mine = (numbers_N >= first) & (numbers_N < past)
            if mine.any():
                sentences, places = numbers_N[mine] - first, places_N[mine]
                # The row that each came with becomes the first of its place.
                moves = Moves(sentences, places, sentences, places * self._width)
                self._graphs.join(table.tensors, newcomers, moves)
            first = past
        self._newcomers = []

    def _moves(self, old_places: Integers, places: Integers) -> Moves:
        """Take sentences from places of one table to those of another, with all their rows."""
        ranks = np.arange(self._width)
        old_rows, rows = (
            (each[:, None] * self._width + ranks).ravel() for each in (old_places, places)
        )
        return Moves(old_places, places, old_rows, rows)

    def _find_table(self, num_sentences: int, length: int) -> Table:
        """Return the present table if it fits and is not twice too large, else one that fits."""
        table = self._table
        if table is not None:
            is_large_enough = num_sentences <= table.num_places and length <= table.num_positions
            places, positions = self._places(2 * num_sentences), _positions(2 * length)
            if is_large_enough and table.num_places <= places and table.num_positions <= positions:
                return table
        size = self._places(num_sentences), _positions(length)
        if size not in self._tables:
            self._tables[size] = Table(self._graphs, size[0], self._width, size[1])
        return self._tables[size]

    def _places(self, num_sentences: int) -> int:
        """Return how many places the smallest table for so many sentences has."""
        sizes = chain(self._sizes, (self._sizes[-1] << i for i in count(1)))
        return next(rows // self._width for rows in sizes if rows // self._width >= num_sentences)


def _positions(length: int) -> int:
    """Return how many positions the smallest table for a source of this length has."""
    return next(POSITIONS << i for i in count() if POSITIONS << i >= length)
