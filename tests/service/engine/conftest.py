import threading
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from service.engine.search import EOS


class CopyingBatch:
    """A model that copies its source, so what it must say is known without running one."""

    def __init__(self) -> None:
        self._rows: list[list[int]] = []
        self.admitted: list[list[list[int]]] = []
        self.step_sizes: list[int] = []
        self.is_stepping = threading.Event()
        self.may_step = threading.Event()
        self.may_step.set()
        self.on_step: Callable[[int], object] = lambda num_rows: None
        self.fails = False

    def admit(self, sources: Sequence[Sequence[int]]) -> range:
        first = len(self._rows)
        self._rows += [list(source) for source in sources]
        self.admitted.append([list(source) for source in sources])
        return range(first, len(self._rows))

    def step(
        self, parents_B: NDArray[np.int64], tokens_B: NDArray[np.int64], candidates: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        self.is_stepping.set()
        assert self.may_step.wait(timeout=5)
        self.on_step(len(parents_B))
        if self.fails:
            raise RuntimeError("device lost")
        self.step_sizes.append(len(parents_B))
        next_tokens = [(self._rows[parent] or [EOS])[0] for parent in parents_B]
        self._rows = [self._rows[parent][1:] for parent in parents_B]
        others = range(98, 98 + candidates - 1)
        scores_BC = np.array([[-0.1, *(-5.0 - i for i in range(len(others)))]], np.float32)
        tokens_BC = np.array([[token, *others] for token in next_tokens])
        return scores_BC.repeat(len(parents_B), axis=0), tokens_BC

    def clear(self) -> None:
        self._rows = []


@pytest.fixture
def batch() -> CopyingBatch:
    return CopyingBatch()
