"""A live batch on ONNX Runtime: the only module that knows of sessions, padding and providers.

    admit: encoder graph -> memory and keys of the newcomers, their first states
    step:  step graph over all rows -> their best next tokens, their next states

Sentences N and rows B are different things: the rows of one beam share a sentence's memory.
What a row yields does not depend, bit for bit, on which other rows are there.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.bundle import Bundle, VariantName
from models.tokenizer import PAD

PROVIDER = "CPUExecutionProvider"

_VARIANTS: tuple[VariantName, ...] = ("fp32", "int8", "fp16")
# The length of a sentence's memory is a multiple of this, for the kernels sum a remainder in
# another order. Measured with ONNX Runtime 1.31 on AVX-512, 400 random pairs of paddings:
# attention's products differ in 193 (scores) and 95 (context) for 1, in 138 and 0 for 2, in
# none from 4 up. Softmax never differs; nor does any number of rows, one included.
_POSITIONS = 8


class Sessions:
    """The two graphs of a bundle, ready to run; any number of batches may share them."""

    def __init__(self, bundle: Bundle) -> None:
        variants = bundle.manifest.variants
        self.variant = next(name for name in _VARIANTS if name in variants)
        """Which rendering of the network this is."""
        self.states = tuple(bundle.manifest.state)
        """Names of the state tensors."""
        self._encoder = _open(str(bundle.file(variants[self.variant].encoder)))
        self._step = _open(str(bundle.file(variants[self.variant].step)))

    def encode(self, source_NS: NDArray[np.int64], lengths_N: NDArray[np.int32]) -> list[Any]:
        """Run the encoder; return keys_NSA, memory_NSM and the states."""
        names = ["keys_NSA", "memory_NSM", *(f"{name}_NH" for name in self.states)]
        return list(self._encoder.run(names, {"source_NS": source_NS, "lengths_N": lengths_N}))

    def step(self, feed: dict[str, NDArray[Any]]) -> list[Any]:
        """Run the step; return scores_BC, tokens_BC and the next states."""
        names = ["scores_BC", "tokens_BC", *(f"next_{name}_BH" for name in self.states)]
        return list(self._step.run(names, feed))


class _Memory:
    """What the rows attend to; it never changes, `join` and `select` make another."""

    def __init__(
        self,
        keys_NSA: NDArray[np.float32],
        memory_NSM: NDArray[np.float32],
        lengths_N: NDArray[np.int32],
    ) -> None:
        self.keys_NSA, self.memory_NSM, self.lengths_N = keys_NSA, memory_NSM, lengths_N

    @property
    def num_positions(self) -> int:
        return int(self.memory_NSM.shape[1])

    def join(self, other: "_Memory") -> "_Memory":
        size = max(self.num_positions, other.num_positions)
        pairs = ((self.keys_NSA, other.keys_NSA), (self.memory_NSM, other.memory_NSM))
        keys_NSA, memory_NSM = (
            np.concatenate([_pad(mine, size), _pad(theirs, size)]) for mine, theirs in pairs
        )
        lengths_N = np.concatenate([self.lengths_N, other.lengths_N])
        return _Memory(keys_NSA, memory_NSM, lengths_N)

    def select(self, sentences: NDArray[np.int64]) -> "_Memory":
        lengths_N = self.lengths_N[sentences]
        size = _round_up(int(lengths_N.max()))
        # Cropped first: what leaves is not copied.
        keys_NSA, memory_NSM = self.keys_NSA[:, :size], self.memory_NSM[:, :size]
        return _Memory(keys_NSA[sentences], memory_NSM[sentences], lengths_N)


class OnnxBatch:
    """The rows that one worker decodes; see `LiveBatch`."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self.clear()

    def clear(self) -> None:
        """Forget all rows."""
        self._memory: _Memory | None = None
        self._states: list[NDArray[np.float32]] = []
        self._sentences_B = np.zeros(0, np.int64)

    def admit(self, sources: Sequence[Sequence[int]]) -> range:
        """Encode sources, append one row for each, and return the new rows' indices."""
        lengths_N = np.array([len(source) for source in sources], np.int32)
        source_NS = np.full((len(sources), _round_up(int(lengths_N.max()))), PAD, np.int64)
        for i, source in enumerate(sources):
            source_NS[i, : len(source)] = source
        keys_NSA, memory_NSM, *states = self._sessions.encode(source_NS, lengths_N)
        joining = _Memory(keys_NSA, memory_NSM, lengths_N)
        first_row, sentences = len(self._sentences_B), np.arange(len(sources))
        if self._memory is None:
            self._memory, self._states = joining, states
        else:
            sentences += len(self._memory.lengths_N)
            self._memory = self._memory.join(joining)
            both = zip(self._states, states, strict=True)
            self._states = [np.concatenate(each) for each in both]
        self._sentences_B = np.concatenate([self._sentences_B, sentences])
        return range(first_row, len(self._sentences_B))

    def step(
        self, parents_B: NDArray[np.int64], tokens_B: NDArray[np.int64], candidates: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Let row i continue row `parents_B[i]` with `tokens_B[i]`; forget all other rows."""
        memory = self._settle(parents_B)
        feed: dict[str, NDArray[Any]] = {
            "tokens_B": np.ascontiguousarray(tokens_B),
            "parents_B": np.ascontiguousarray(parents_B),
            "sentences_B": self._sentences_B,
            "candidates": np.array([candidates], np.int64),
            "keys_NSA": memory.keys_NSA,
            "memory_NSM": memory.memory_NSM,
            "lengths_N": memory.lengths_N,
        }
        names = (f"{name}_BH" for name in self._sessions.states)
        feed.update(zip(names, self._states, strict=True))
        scores_BC, tokens_BC, *self._states = self._sessions.step(feed)
        return scores_BC, tokens_BC

    def _settle(self, parents_B: NDArray[np.int64]) -> _Memory:
        """Point the rows to their sentences, and drop the memory that no row reads."""
        memory = self._memory
        assert memory is not None, "nobody has been admitted"
        sentences, sentences_B = np.unique(self._sentences_B[parents_B], return_inverse=True)
        if self._is_worth_dropping(memory, sentences):
            memory = memory.select(sentences)
        else:
            sentences_B = sentences[sentences_B]
        self._memory, self._sentences_B = memory, sentences_B
        return memory

    @staticmethod
    def _is_worth_dropping(memory: _Memory, sentences: NDArray[np.int64]) -> bool:
        # Unread positions cost time in every step, unread sentences cost only space; a copy
        # costs about what attention costs in one step.
        needed = _round_up(int(memory.lengths_N[sentences].max()))
        return needed < memory.num_positions or 2 * len(sentences) <= len(memory.lengths_N)


def _open(path: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # Workers are the parallelism: two of them scale 1.9 times, whereas the pools of two
    # sessions spin against each other and are slower than one thread.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=[PROVIDER])


def _round_up(length: int) -> int:
    return -(-length // _POSITIONS) * _POSITIONS


def _pad(values_NSX: NDArray[np.float32], num_positions: int) -> NDArray[np.float32]:
    missing = num_positions - values_NSX.shape[1]
    return np.pad(values_NSX, ((0, 0), (0, missing), (0, 0))) if missing else values_NSX
