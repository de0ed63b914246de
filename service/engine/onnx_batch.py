"""A live batch on ONNX Runtime, its tensors in the memory of the CPU.

    admit: encoder graph -> memory and keys of the newcomers, their first states
    step:  step graph over all rows -> their best next tokens, their next states

Sentences N and rows are different things: the K rows of one beam share a sentence's memory.
What a row yields does not depend, bit for bit, on which other sentences are there; that is
why a batch has one width, for products over one row and over several round differently.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.tokenizer import PAD
from service.engine.hypothesis import StepResult
from service.engine.sessions import Sessions
from service.engine.shortlists import LiveShortlists

Floats = NDArray[np.float32]

MASKED = -1e4
"""Added to the attention scores of padding: its weight underflows to exactly zero."""

# The length of a sentence's memory is a multiple of this, for the kernels sum a remainder in
# another order. Measured with ONNX Runtime 1.31 on AVX-512, 400 random pairs of paddings:
# attention's products differ in 193 (scores) and 95 (context) for 1, in 138 and 0 for 2, in
# none from 4 up. Softmax never differs; nor does any number of sentences, one included.
_POSITIONS = 8
# Positions that no sentence needs any more are cut off when they are this share of all: a cut
# copies the whole memory, which costs about as much as attention does in one step.
_CROPPED_SHARE = 0.25


class _Memory:
    """What the rows attend to: places for sentences, of which the first are in use."""

    def __init__(self, keys_NAS: Floats, memory_NSM: Floats, lengths_N: NDArray[np.int32]) -> None:
        self._keys_NAS, self._memory_NSM, self._lengths_N = keys_NAS, memory_NSM, lengths_N
        # In half precision, if the graphs are.
        self._mask_NS = _mask(lengths_N, memory_NSM.shape[1]).astype(memory_NSM.dtype)
        self._count = len(lengths_N)

    @property
    def feed(self) -> dict[str, Floats]:
        """The inputs of the step, by name: contiguous, for places come first."""
        return {
            "keys_NAS": self._keys_NAS[: self._count],
            "memory_NSM": self._memory_NSM[: self._count],
            "mask_NS": self._mask_NS[: self._count],
        }

    def append(self, keys_NAS: Floats, memory_NSM: Floats, lengths_N: NDArray[np.int32]) -> None:
        """Put newcomers behind those who are there."""
        first, last = self._count, self._count + len(lengths_N)
        num_places, num_positions = self._mask_NS.shape
        if last > num_places or memory_NSM.shape[1] > num_positions:
            positions = max(num_positions, memory_NSM.shape[1])
            self._resize(max(last, 2 * num_places if last > num_places else 0), positions)
        size = memory_NSM.shape[1]
        # What lies behind a shorter memory is finite, and masked.
        self._keys_NAS[first:last, :, :size] = keys_NAS
        self._memory_NSM[first:last, :size] = memory_NSM
        self._mask_NS[first:last] = _mask(lengths_N, self._mask_NS.shape[1])
        self._lengths_N[first:last] = lengths_N
        self._count = last

    def arrange(self, order_N: NDArray[np.int64]) -> None:
        """Keep these sentences, in this order; those who stay in place are not touched."""
        moved = np.flatnonzero(order_N != np.arange(len(order_N)))
        if not len(moved) and len(order_N) == self._count:
            return
        self._count = len(order_N)
        if len(moved):
            tensors = (self._keys_NAS, self._memory_NSM, self._mask_NS, self._lengths_N)
            for tensor in tensors:
                tensor[moved] = tensor[order_N[moved]]
        needed = round_up(int(self._lengths_N[: self._count].max()))
        if needed <= (1 - _CROPPED_SHARE) * self._mask_NS.shape[1]:
            self._resize(self._count, needed)

    def _resize(self, num_places: int, num_positions: int) -> None:
        """Move those who are there to tensors of another size."""
        old = (self._keys_NAS, self._memory_NSM, self._mask_NS, self._lengths_N)
        count, size = self._count, min(num_positions, self._mask_NS.shape[1])
        self._keys_NAS = np.zeros((num_places, old[0].shape[1], num_positions), old[0].dtype)
        self._memory_NSM = np.zeros((num_places, num_positions, old[1].shape[2]), old[1].dtype)
        self._mask_NS = np.full((num_places, num_positions), MASKED, old[2].dtype)
        self._lengths_N = np.zeros(num_places, np.int32)
        self._keys_NAS[:count, :, :size] = old[0][:count, :, :size]
        self._memory_NSM[:count, :size] = old[1][:count, :size]
        self._mask_NS[:count, :size] = old[2][:count, :size]
        self._lengths_N[:count] = old[3][:count]


class OnnxBatch:
    """The rows that one worker decodes with one width of the beam; see `LiveBatch`."""

    def __init__(self, sessions: Sessions, width: int) -> None:
        self._sessions = sessions
        self._width = width
        self.clear()

    def clear(self) -> None:
        """Forget all rows."""
        self._memory: _Memory | None = None
        self._states: list[Floats] = []
        self._shortlists: LiveShortlists | None = None
        if self._sessions.shortlists is not None:
            self._shortlists = LiveShortlists(
                self._sessions.shortlists, self._sessions.columns, self._width
            )
        # The sentences that the rows of the last step, and the newcomers behind them, are of.
        self._sentences_P = self._places_P = np.zeros(0, np.int64)

    def admit(
        self, sources: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]] | None = None
    ) -> range:
        """Encode sources, append one row for each, and return the new rows' indices."""
        lengths_N = np.array([len(source) for source in sources], np.int32)
        source_NS = np.full((len(sources), round_up(int(lengths_N.max()))), PAD, np.int64)
        for i, source in enumerate(sources):
            source_NS[i, : len(source)] = source
        keys_NAS, memory_NSM, *states = self._sessions.encode(source_NS, lengths_N)
        if self._shortlists is not None:
            self._shortlists.append(sources, wanted)
        first_row, first_sentence = len(self._sentences_P), 0
        if self._memory is None:
            self._memory, self._states = _Memory(keys_NAS, memory_NSM, lengths_N), states
        else:
            first_sentence = int(self._sentences_P[-1]) + 1
            self._memory.append(keys_NAS, memory_NSM, lengths_N)
            both = zip(self._states, states, strict=True)
            self._states = [np.concatenate(each) for each in both]
        sentences = first_sentence + np.arange(len(sources))
        self._sentences_P = np.concatenate([self._sentences_P, sentences])
        return range(first_row, len(self._sentences_P))

    def step(
        self,
        parents_NK: NDArray[np.int64],
        tokens_NK: NDArray[np.int64],
        candidates: int,
        *,
        with_attention: bool = False,
    ) -> list[StepResult]:
        """Let row k of sentence n continue row `parents_NK[n, k]`; forget all other rows."""
        assert self._memory is not None, "nobody has been admitted"
        order_N = self._sentences_P[parents_NK[:, 0]]
        self._memory.arrange(order_N)
        feed: dict[str, NDArray[Any]] = {
            "tokens_NK": tokens_NK,
            "parents_NK": parents_NK,
            **self._memory.feed,
        }
        num_tokens = self._sessions.vocabulary_size
        if self._shortlists is not None:
            self._shortlists.arrange(order_N)
            feed.update(self._shortlists.feed)
            num_tokens = self._shortlists.num_tokens
        feed["candidates"] = np.array([min(candidates, num_tokens)], np.int64)
        feed.update(zip(self._sessions.state_inputs, self._states, strict=True))
        result, states = self._sessions.step(feed, with_attention=with_attention)
        self._states = [state_NKH.reshape(-1, state_NKH.shape[2]) for state_NKH in states]
        if len(self._places_P) != parents_NK.size:
            self._places_P = np.repeat(np.arange(len(parents_NK)), self._width)
        self._sentences_P = self._places_P
        return [result]


def round_up(length: int) -> int:
    """Return the positions that a memory of so many tokens takes."""
    return -(-length // _POSITIONS) * _POSITIONS


def _mask(lengths_N: NDArray[np.int32], num_positions: int) -> Floats:
    is_padding_NS = np.arange(num_positions) >= lengths_N[:, None]
    return np.where(is_padding_NS, np.float32(MASKED), np.float32(0))
