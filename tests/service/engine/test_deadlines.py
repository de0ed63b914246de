from collections.abc import Iterator
from time import monotonic

import pytest

from service.engine.deadlines import Deadlines
from service.engine.hypothesis import SearchOptions
from service.engine.waiting_line import Sentence
from service.errors import DeadlineExceeded

LONG = 3600.0


@pytest.fixture
def deadlines() -> Iterator[Deadlines]:
    deadlines = Deadlines("deadlines of a test")
    yield deadlines
    deadlines.close()


def due_in(seconds: float) -> Sentence:
    return Sentence([7], SearchOptions(), deadline=monotonic() + seconds)


def test_sentence_fails_when_its_deadline_passes_and_nobody_asks(deadlines):
    sentence = due_in(0.01)
    deadlines.add(sentence)

    assert isinstance(sentence.future.exception(5), DeadlineExceeded)


def test_nearer_deadline_that_comes_later_is_not_slept_through(deadlines):
    far, near = due_in(LONG), due_in(0.01)
    deadlines.add(far)
    deadlines.add(near)

    assert isinstance(near.future.exception(5), DeadlineExceeded)
    assert not far.future.done()


def test_deadline_further_away_than_a_thread_can_sleep_is_no_fault(deadlines):
    far, near = due_in(float("inf")), due_in(0.01)
    deadlines.add(far)
    deadlines.add(near)

    assert isinstance(near.future.exception(5), DeadlineExceeded)
    assert not far.future.done()


def test_worker_need_not_wait_for_the_thread():
    deadlines = Deadlines("deadlines of a test")
    deadlines.close()
    late, early = due_in(-1), due_in(LONG)
    deadlines.add(early)
    deadlines.add(late)
    deadlines.expire()

    assert isinstance(late.future.exception(0), DeadlineExceeded)
    assert not early.future.done()


def test_sentence_without_deadline_is_not_watched(deadlines):
    deadlines.add(Sentence([7], SearchOptions()))

    assert len(deadlines) == 0


def test_sentence_that_is_done_is_forgotten_long_before_its_deadline(deadlines):
    for _ in range(1000):
        sentence = due_in(LONG)
        deadlines.add(sentence)
        deadlines.discard(sentence)

    assert len(deadlines) < 100


def test_sentence_that_was_cancelled_stays_cancelled():
    deadlines = Deadlines("deadlines of a test")
    deadlines.close()
    sentence = due_in(-1)
    deadlines.add(sentence)
    sentence.future.cancel()
    deadlines.expire()

    assert sentence.future.cancelled()
