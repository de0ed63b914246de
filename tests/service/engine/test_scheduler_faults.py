"""Every sentence that is accepted ends, whatever fails, and spares those that come next."""

import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from random import Random
from time import monotonic

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine.hypothesis import Hypothesis, SearchOptions
from service.engine.policy import Policy
from service.engine.scheduler import Scheduler
from service.engine.waiting_line import Sentence
from service.engine.worker import Worker
from service.errors import DeadlineExceeded, ModelFailure, Overloaded
from tests.service.engine.conftest import (
    BEAM,
    GREEDY,
    CopyingBatch,
    CopyingModel,
    each_its_own,
    hold,
    submit,
    tokens,
)


def test_model_failure_reaches_every_caller_and_spares_the_next(busy, model):
    failing = submit(busy, [20], GREEDY)
    model.fails = True
    model.may_step.set()
    with pytest.raises(ModelFailure):
        failing.result(5)
    model.fails = False

    assert tokens(submit(busy, [30], GREEDY)) == [30]
    assert busy.is_alive


def test_model_failure_spares_the_other_workers_batch():
    sound, broken = CopyingModel(), CopyingModel()
    sound.may_step.clear()
    broken.may_step.clear()
    broken.fails = True
    models = [sound, broken]
    scheduler = Scheduler(each_its_own(models), workers=2, max_rows=8, max_waiting_tokens=1000)

    futures = scheduler.submit([[10, 10]] * 8, [GREEDY] * 8)
    # Both have taken theirs before either goes on, or the first would come back for more.
    assert all(model.is_stepping.wait(timeout=5) for model in models)
    for model in models:
        model.may_step.set()
    errors = [future.exception(5) for future in futures]

    assert [error for error in errors if error is None] == [None] * 4
    assert sum(isinstance(error, ModelFailure) for error in errors) == 4
    scheduler.close()


def test_cancellation_during_a_last_step_harms_nobody_else(busy, model):
    abandoned, other = busy.submit([[], [20, 21]], [GREEDY, GREEDY])
    model.on_step = lambda num_rows: num_rows == 3 and abandoned.cancel()
    model.may_step.set()

    assert tokens(other) == [20, 21]
    assert abandoned.cancelled()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_worker_that_dies_takes_nobody_with_it_into_silence(model):
    def die(num_rows: int) -> None:
        raise SystemExit

    scheduler = Scheduler(model, workers=1, max_rows=1, max_waiting_tokens=8)
    model.may_step.clear()
    running, waiting = scheduler.submit([[10], [20]], [GREEDY, GREEDY])
    model.on_step = die
    model.may_step.set()

    assert isinstance(running.exception(5), ModelFailure)
    assert isinstance(waiting.exception(5), Overloaded)
    scheduler.close()
    assert not scheduler.is_alive


def test_stall_lasts_as_long_as_the_step(busy, model):
    first, second = busy.stalled_seconds, busy.stalled_seconds

    assert 0 < first <= second


def test_sentences_that_wait_while_no_turn_begins_are_a_stall(model):
    class DeafScheduler(Scheduler):
        """Its workers never hear that there is work."""

        def await_work(self, worker: Worker) -> bool:
            return may_hear.wait(5) and super().await_work(worker)

    may_hear = threading.Event()
    scheduler = DeafScheduler(model, workers=1, max_rows=4, max_waiting_tokens=99)
    at_first = scheduler.stalled_seconds
    waiting = submit(scheduler, [20], GREEDY)
    first, second = scheduler.stalled_seconds, scheduler.stalled_seconds
    may_hear.set()
    waiting.result(5)
    scheduler.close()

    assert at_first == 0 < first <= second
    assert scheduler.stalled_seconds == 0


def test_sentence_that_is_cancelled_while_it_is_encoded_harms_nobody_else(busy, model):
    abandoned, other = busy.submit([[20, 21], [30, 31]], [GREEDY, GREEDY])
    model.on_admit = lambda sources: abandoned.cancel()
    model.may_step.set()

    assert tokens(other) == [30, 31]
    assert abandoned.cancelled()
    assert tokens(submit(busy, [40], GREEDY)) == [40]


def test_scores_that_are_no_numbers_fail_the_sentence_and_nobody_else(scheduler, model):
    model.score = math.nan
    spoiled = [submit(scheduler, [20, 21], options) for options in (GREEDY, BEAM)]
    assert all(isinstance(each.exception(5), ModelFailure) for each in spoiled)
    model.score = -0.1

    assert tokens(submit(scheduler, [30], BEAM)) == [30]


def test_encoder_that_fails_fails_those_it_was_to_encode(scheduler, model):
    def fail_once(sources: Sequence[Sequence[int]]) -> None:
        model.on_admit = lambda sources: None
        raise RuntimeError("out of memory")

    model.on_admit = fail_once
    failing = submit(scheduler, [20], GREEDY)

    assert isinstance(failing.exception(5), ModelFailure)
    assert tokens(submit(scheduler, [30], GREEDY)) == [30]


def test_batch_that_cannot_be_made_fails_those_who_need_it_and_spares_the_rest(model):
    def make_batch(width: int) -> CopyingBatch:
        if width > 1:
            raise MemoryError
        return model(width)

    scheduler = Scheduler(make_batch, workers=1, max_rows=4, max_waiting_tokens=99)
    model.may_step.clear()
    narrow = submit(scheduler, [10, 11], GREEDY)
    assert model.is_stepping.wait(timeout=5)
    wide = submit(scheduler, [20], BEAM)
    model.may_step.set()

    assert isinstance(wide.exception(5), ModelFailure)
    assert tokens(narrow) == [10, 11]
    assert tokens(submit(scheduler, [30], GREEDY)) == [30]
    scheduler.close()


class FaultyRatio(float):
    is_faulty = False

    def __mul__(self, other: float) -> float:
        if self.is_faulty:
            raise ArithmeticError
        return super().__mul__(other)


def test_fault_in_choosing_who_joins_fails_those_who_wait_and_spares_the_next(model):
    ratio = FaultyRatio(1.5)
    policy = Policy(length_ratio=ratio)
    scheduler = Scheduler(model, workers=1, max_rows=4, max_waiting_tokens=99, policy=policy)
    model.may_step.clear()
    running = submit(scheduler, [10], GREEDY)
    assert model.is_stepping.wait(timeout=5)
    ratio.is_faulty = True
    waiting = scheduler.submit([[20], [30, 31]], [GREEDY, GREEDY])
    model.may_step.set()

    assert all(isinstance(future.exception(5), ModelFailure) for future in waiting)
    assert tokens(running) == [10]
    ratio.is_faulty = False
    assert tokens(submit(scheduler, [40], GREEDY)) == [40]
    scheduler.close()


def when_all_are_done(
    futures: Sequence[Future[list[Hypothesis]]], call: Callable[[], None]
) -> None:
    """Call once the last of them is told; one thread tells them all."""
    for future in futures:
        future.add_done_callback(lambda _: all(each.done() for each in futures) and call())


def test_step_that_never_ends_is_seen_and_holds_up_nobody_at_the_door(model):
    scheduler = Scheduler(model, workers=1, max_rows=4, max_waiting_tokens=99)
    stuck = hold_first_step(scheduler, model)
    cancelled, left = (submit(scheduler, [20], GREEDY) for _ in range(2))
    late = scheduler.submit([[30]], [GREEDY], deadline=monotonic())[0]

    assert cancelled.cancel()
    assert isinstance(late.exception(5), DeadlineExceeded)
    assert scheduler.stalled_seconds > 0
    assert scheduler.is_alive
    release = threading.Timer(0, model.may_step.set)  # only when all are told, if ever
    when_all_are_done([stuck, left], release.start)
    scheduler.close(timeout_seconds=0)
    assert isinstance(stuck.exception(0), Overloaded)
    assert isinstance(left.exception(0), Overloaded)
    release.join()


def test_sentence_taken_while_another_lane_is_stuck_is_told_when_the_model_is_closed(model):
    scheduler = Scheduler(model, workers=1, max_rows=4, max_waiting_tokens=99)
    stuck = hold_first_step(scheduler, model)
    in_second_step = threading.Event()
    model.on_step = lambda _: len(model.step_sizes) == 1 and hold(model, in_second_step)
    # Taken before the second step, to join another lane behind that which is stuck there.
    joining = submit(scheduler, [20], BEAM)
    model.may_step.set()
    assert in_second_step.wait(timeout=5)

    release = threading.Timer(0, model.may_step.set)
    when_all_are_done([stuck, joining], release.start)
    scheduler.close(timeout_seconds=0)
    assert isinstance(stuck.exception(0), Overloaded)
    assert isinstance(joining.exception(0), Overloaded)
    release.join()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_sentence_taken_while_another_lane_kills_the_worker_is_told(model):
    scheduler = Scheduler(model, workers=1, max_rows=4, max_waiting_tokens=99)
    running = hold_first_step(scheduler, model)
    joining = submit(scheduler, [20], BEAM)

    def die(num_rows: int) -> None:
        if model.step_sizes:
            raise SystemExit

    model.on_step = die
    model.may_step.set()

    assert isinstance(running.exception(5), ModelFailure)
    assert isinstance(joining.exception(5), ModelFailure)
    scheduler.close()


def hold_first_step(scheduler: Scheduler, model: CopyingModel) -> Future[list[Hypothesis]]:
    model.may_step.clear()
    future = submit(scheduler, [10, 11, 12], GREEDY)
    assert model.is_stepping.wait(timeout=5)
    return future


class UnreliableModel(CopyingModel):
    """Fails now and then, whatever it is asked."""

    def __init__(self, chance: Random) -> None:
        super().__init__()
        self._chance = chance
        self.on_admit = self.on_step = lambda _: self._fail_at_times()

    def __call__(self, width: int) -> CopyingBatch:
        self._fail_at_times()
        return super().__call__(width)

    def _fail_at_times(self) -> None:
        if self._chance.random() < 0.02:
            raise RuntimeError("device lost")


class WatchedScheduler(Scheduler):
    """Knows the most rows that a worker has had."""

    most_rows = 0

    def take(self, worker: Worker) -> list[Sentence]:
        taken = super().take(worker)
        rows = sum(each.options.width for each in [*worker.active, *taken])
        self.most_rows = max(self.most_rows, rows)
        return taken


@settings(max_examples=20, deadline=None)
@given(st.integers(), st.integers(1, 3), st.integers(2, 9), st.booleans())
def test_whatever_happens_every_sentence_ends_and_what_is_translated_is_right(
    seed, workers, max_rows, is_patient
):
    chance = Random(seed)
    scheduler = WatchedScheduler(
        UnreliableModel(chance), workers=workers, max_rows=max_rows, max_waiting_tokens=9999
    )
    futures: dict[Future[list[Hypothesis]], list[int]] = {}
    for _ in range(30):
        sources = [[10 + chance.randrange(9)] * chance.randrange(12) for _ in range(3)]
        submitted = scheduler.submit(
            sources,
            [SearchOptions(width=chance.randint(1, min(3, max_rows))) for _ in sources],
            priority=chance.choice(["interactive", "batch"]),
            deadline=chance.choice([None, monotonic() + chance.uniform(-0.001, 0.01)]),
        )
        futures.update(zip(submitted, sources, strict=True))
        if chance.random() < 0.3:
            chance.choice(list(futures)).cancel()
    scheduler.close(None if is_patient else 0.001)

    for future, source in futures.items():
        assert future.done()
        if future.cancelled():
            continue
        if error := future.exception():
            assert isinstance(error, (ModelFailure, DeadlineExceeded, Overloaded))
        else:
            assert tokens(future) == source
    assert scheduler.most_rows <= max_rows
