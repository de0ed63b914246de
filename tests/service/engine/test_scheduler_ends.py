"""How sentences end before they are translated: their callers, deadlines, the model's close."""

import threading
from time import monotonic

import pytest
from prometheus_client import REGISTRY

from service.engine.hypothesis import SearchOptions
from service.engine.scheduler import Scheduler
from service.errors import DeadlineExceeded, Overloaded
from tests.service.engine.conftest import (
    GREEDY,
    submit,
    tokens,
)


def test_cancelled_sentence_frees_its_rows(scheduler, model):
    model.may_step.clear()
    abandoned = submit(scheduler, [10] * 200, SearchOptions(width=4))
    assert model.is_stepping.wait(timeout=5)
    waiting = submit(scheduler, [20], GREEDY)
    abandoned.cancel()
    model.may_step.set()

    assert tokens(waiting) == [20]
    assert model.step_sizes == [4, 1, 1]


def test_cancelled_sentence_frees_its_place_in_the_line(busy, model):
    waiting = submit(busy, [20] * 4, GREEDY)
    waiting.cancel()
    next_one = submit(busy, [30], GREEDY)
    model.may_step.set()

    assert tokens(next_one) == [30]
    assert model.admitted == [[[10] * 200], [[30]]]


def test_sentence_that_waits_expires_though_no_worker_comes(busy, model):
    waiting = busy.submit([[20]], [GREEDY], deadline=monotonic() + 0.01)[0]

    assert isinstance(waiting.exception(5), DeadlineExceeded)
    next_one = submit(busy, [30], GREEDY)
    model.may_step.set()
    assert tokens(next_one) == [30]
    assert model.admitted == [[[10] * 200], [[30]]]


def test_sentence_that_expires_while_it_is_decoded_frees_its_rows_before_the_next_step(
    scheduler, model
):
    model.may_step.clear()
    late = scheduler.submit([[10] * 200], [SearchOptions(width=4)], deadline=monotonic() + 0.25)[0]
    assert model.is_stepping.wait(timeout=5)
    assert isinstance(late.exception(5), DeadlineExceeded)
    waiting = submit(scheduler, [20], GREEDY)
    model.may_step.set()

    assert tokens(waiting) == [20]
    assert model.step_sizes == [4, 1, 1]


def test_sentence_that_comes_too_late_is_never_decoded(scheduler, model):
    late = scheduler.submit([[10]], [GREEDY], deadline=monotonic() - 1)[0]

    assert isinstance(late.exception(5), DeadlineExceeded)
    assert tokens(submit(scheduler, [20], GREEDY)) == [20]
    assert sum(model.step_sizes) <= 3


def test_deadline_that_is_kept_changes_nothing(scheduler):
    future = scheduler.submit([[10, 11]], [GREEDY], deadline=monotonic() + 60)[0]

    assert tokens(future) == [10, 11]


def test_close_finishes_what_was_accepted(model):
    scheduler = Scheduler(model, workers=1, max_rows=1, max_waiting_tokens=8)
    futures = scheduler.submit([[10, 11]] * 3, [GREEDY] * 3)

    scheduler.close()

    assert [future.result(0)[0].tokens for future in futures] == [(10, 11)] * 3


def test_close_that_may_not_wait_fails_what_is_left(model):
    scheduler = Scheduler(model, workers=1, max_rows=1, max_waiting_tokens=8)
    model.may_step.clear()
    running, waiting = scheduler.submit([[10], [20]], [GREEDY, GREEDY])
    assert model.is_stepping.wait(timeout=5)
    release = threading.Timer(0, model.may_step.set)
    running.add_done_callback(lambda _: release.start())

    scheduler.close(timeout_seconds=0)

    assert isinstance(running.exception(0), Overloaded)
    assert isinstance(waiting.exception(0), Overloaded)
    release.join()


def test_closed_scheduler_refuses(model):
    scheduler = Scheduler(model, workers=1, max_rows=1, max_waiting_tokens=8)
    scheduler.close()

    with pytest.raises(Overloaded, match="unloaded"):
        submit(scheduler, [10], GREEDY)


def test_who_gave_up_and_who_came_too_late_is_counted_by_stage(model):
    scheduler = Scheduler(model, workers=1, max_rows=2, max_waiting_tokens=99, model="stages/1")
    model.may_step.clear()
    decoding = scheduler.submit([[10]], [GREEDY]) + scheduler.submit(
        [[10]], [GREEDY], deadline=monotonic() + 0.25
    )
    assert model.is_stepping.wait(timeout=5)
    waiting = scheduler.submit([[10]] * 2, [GREEDY] * 2)
    late = scheduler.submit([[10]], [GREEDY], deadline=monotonic())
    for future in [decoding[0], *waiting]:
        future.cancel()
    for future in [decoding[1], *late]:
        assert isinstance(future.exception(5), DeadlineExceeded)
    model.may_step.set()
    scheduler.close()

    def counted(name: str, stage: str) -> float | None:
        labels = {"model": "stages/1", "stage": stage}
        return REGISTRY.get_sample_value(f"dragoman_{name}_sentences_total", labels)

    assert counted("cancelled", "waiting") == 2
    assert counted("cancelled", "decoding") == 1
    assert counted("expired", "waiting") == 1
    assert counted("expired", "decoding") == 1
