import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future

import numpy as np
import pytest
from numpy.typing import NDArray

from service.engine.hypothesis import EOS, Hypothesis, SearchOptions, StepResult
from service.engine.scheduler import Scheduler
from service.engine.worker import MakeBatch
from tests.events import Events

GREEDY = SearchOptions(width=1)
BEAM = SearchOptions(width=2)
VOCABULARY_SIZE = 200


class CopyingModel:
    """A model that copies its source, so what it must say is known without running one.

    It makes the batches of a scheduler, and decides when and whether they step.
    """

    def __init__(self) -> None:
        self.admitted: list[list[list[int]]] = []
        self.step_sizes: list[int] = []
        self.is_stepping = threading.Event()
        self.may_step = threading.Event()
        self.may_step.set()
        self.on_admit: Callable[[Sequence[Sequence[int]]], object] = lambda sources: None
        self.on_step: Callable[[int], object] = lambda num_rows: None
        self.fails = False
        self.score = -0.1

    def __call__(self, width: int) -> "CopyingBatch":
        return CopyingBatch(self)


class CopyingBatch:
    """The rows of one width; each is a source and how much of it is copied."""

    def __init__(self, model: CopyingModel) -> None:
        self._model = model
        self._rows: list[tuple[list[int], int]] = []

    def admit(
        self, sources: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]] | None = None
    ) -> range:
        self._model.on_admit(sources)
        first = len(self._rows)
        self._rows += [(list(source), 0) for source in sources]
        self._model.admitted.append([list(source) for source in sources])
        return range(first, len(self._rows))

    def step(
        self,
        parents_NK: NDArray[np.int64],
        tokens_NK: NDArray[np.int64],
        candidates: int,
        *,
        with_attention: bool = False,
    ) -> list[StepResult]:
        model = self._model
        model.is_stepping.set()
        assert model.may_step.wait(timeout=5)
        model.on_step(parents_NK.size)
        if model.fails:
            raise RuntimeError("device lost")
        model.step_sizes.append(parents_NK.size)
        parents = [self._rows[parent] for parent in parents_NK.ravel().tolist()]
        following = [[*source, EOS][min(place, len(source))] for source, place in parents]
        self._rows = [(source, place + 1) for source, place in parents]
        candidates = min(candidates, VOCABULARY_SIZE)  # all of them may be asked for
        others = range(98, 98 + candidates - 1)
        scores_NKC = np.array(
            [model.score, *(50 * model.score - i for i in range(len(others)))], np.float32
        )
        tokens_NKC = np.array([[token, *others] for token in following])
        shape = (*parents_NK.shape, candidates)
        attention_NKS = None
        if with_attention:
            num_positions = max(len(source) for source, _ in parents)
            places = [min(place, num_positions - 1) for _, place in parents]
            attention_NKS = np.eye(num_positions, dtype=np.float32)[places]
            attention_NKS = attention_NKS.reshape(*parents_NK.shape, num_positions)
        scores_NKC = np.broadcast_to(scores_NKC, shape)
        return [StepResult(scores_NKC, tokens_NKC.reshape(shape), attention_NKS)]

    def clear(self) -> None:
        self._rows = []


@pytest.fixture
def events() -> Iterator[Events]:
    """What the engine logs."""
    events, logger = Events(), logging.getLogger("service.engine")
    level = logger.level
    logger.addHandler(events)
    logger.setLevel(logging.INFO)
    yield events
    logger.removeHandler(events)
    logger.setLevel(level)


@pytest.fixture
def model() -> CopyingModel:
    return CopyingModel()


@pytest.fixture
def scheduler(model) -> Iterator[Scheduler]:
    scheduler = Scheduler(model, workers=1, max_rows=4, max_waiting_tokens=3)
    yield scheduler
    model.may_step.set()
    scheduler.close()


@pytest.fixture
def busy(scheduler, model) -> Scheduler:
    """A scheduler held in the middle of a step, with one endless sentence in its batch."""
    model.may_step.clear()
    submit(scheduler, [10] * 200, GREEDY)
    assert model.is_stepping.wait(timeout=5)
    return scheduler


def submit(
    scheduler: Scheduler, source: Sequence[int], options: SearchOptions
) -> Future[list[Hypothesis]]:
    return scheduler.submit([source], [options])[0]


def tokens(future: Future[list[Hypothesis]]) -> list[int]:
    return list(future.result(5)[0].tokens)


def each_its_own(models: Sequence[CopyingModel]) -> MakeBatch:
    """Give each worker another model, in the order in which they begin."""
    left = iter(models)

    def make_batch(width: int) -> CopyingBatch:
        return next(left)(width)

    return make_batch


def hold(model: CopyingModel, is_held: threading.Event) -> None:
    """Stop in the middle of a step."""
    model.may_step.clear()
    is_held.set()
    assert model.may_step.wait(timeout=5)
