import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future

import pytest
from prometheus_client import REGISTRY

from service.engine.scheduler import Scheduler, Speed
from service.engine.search import Hypothesis, SearchOptions
from service.engine.worker import MakeBatch
from service.errors import InvalidRequest, ModelFailure, Overloaded
from tests.service.engine.conftest import CopyingBatch, CopyingModel

GREEDY = SearchOptions(width=1)
BEAM = SearchOptions(width=2)


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


def test_sentences_decoded_together_equal_sentences_decoded_alone(model):
    scheduler = Scheduler(model, workers=1, max_rows=4, max_waiting_tokens=100)
    sources = [[10], [20, 21, 22, 23], [30, 31], [], [40, 41, 42]]

    futures = scheduler.submit(sources, [GREEDY] * 5)

    assert [tokens(future) for future in futures] == sources
    scheduler.close()


def test_sentences_with_different_beams_are_decoded_side_by_side(scheduler):
    wide, narrow = scheduler.submit([[10, 11], [20, 21]], [BEAM, GREEDY])

    assert tokens(wide) == [10, 11]
    assert tokens(narrow) == [20, 21]


def test_short_sentence_overtakes_a_long_one_that_came_first(busy, model):
    short = submit(busy, [20], GREEDY)
    model.may_step.set()

    assert tokens(short) == [20]
    assert model.step_sizes[:3] == [1, 2, 2]  # alone, then together for "20" and for EOS


def test_batch_never_exceeds_max_rows(busy, model):
    futures = busy.submit([[20, 21], [30, 31]], [BEAM, BEAM])
    model.may_step.set()
    for future in futures:
        future.result(5)

    assert max(model.step_sizes) <= 4


def test_sentences_of_like_length_join_together(model):
    scheduler = Scheduler(model, workers=1, max_rows=8, max_waiting_tokens=1000)
    model.may_step.clear()
    submit(scheduler, [9], SearchOptions(width=8))
    assert model.is_stepping.wait(timeout=5)
    lengths = [20, 3, 21, 4, 22, 5]

    scheduler.submit([[length] * length for length in lengths], [GREEDY] * 6)
    model.may_step.set()
    scheduler.close()

    joined = [[len(source) for source in sources] for sources in model.admitted]
    assert joined == [[1], [20, 21, 22], [3, 4, 5]]


def test_oldest_sentence_is_not_overtaken_for_lack_of_room(busy, model):
    wide, narrow = busy.submit([[20], [30]], [SearchOptions(width=4), GREEDY])
    model.on_step = lambda num_rows: wide.done() or narrow.done() or None
    order = []
    wide.add_done_callback(lambda _: order.append("wide"))
    narrow.add_done_callback(lambda _: order.append("narrow"))
    model.may_step.set()
    tokens(narrow)

    assert order == ["wide", "narrow"]


def test_many_that_wait_are_not_encoded_one_by_one(model):
    scheduler = Scheduler(model, workers=1, max_rows=8, max_waiting_tokens=1000)
    model.may_step.clear()
    scheduler.submit([[10] * length for length in range(20, 28)], [GREEDY] * 8)
    assert model.is_stepping.wait(timeout=5)
    scheduler.submit([[20] * 40] * 4, [GREEDY] * 4)
    model.may_step.set()
    scheduler.close()

    # One of the first eight ends with each step, yet a quarter of the rows is waited for.
    assert [len(sources) for sources in model.admitted] == [8, 2, 2]


def test_idle_worker_gets_its_share():
    models = [CopyingModel(), CopyingModel()]
    for model in models:
        model.may_step.clear()
    scheduler = Scheduler(each_its_own(models), workers=2, max_rows=8, max_waiting_tokens=1000)

    futures = scheduler.submit([[10, 10]] * 8, [GREEDY] * 8)
    # Both have taken theirs before either goes on, or the first would come back for more.
    assert all(model.is_stepping.wait(timeout=5) for model in models)
    for model in models:
        model.may_step.set()

    assert all(tokens(future) == [10, 10] for future in futures)
    assert sorted(len(model.admitted[0]) for model in models) == [4, 4]
    scheduler.close()


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
    for model in models:
        assert model.is_stepping.wait(timeout=5)
        model.may_step.set()
    errors = [future.exception(5) for future in futures]

    assert [error for error in errors if error is None] == [None] * 4
    assert sum(isinstance(error, ModelFailure) for error in errors) == 4
    scheduler.close()


def test_full_waiting_line_refuses_with_overloaded(busy):
    submit(busy, [20] * 4, GREEDY)

    with pytest.raises(Overloaded, match="4 tokens are waiting, more than 3") as refused:
        submit(busy, [30], GREEDY)
    assert refused.value.retry_after_seconds >= 1


def test_long_text_is_accepted_when_the_line_has_room(busy, model):
    futures = busy.submit([[20] * 10] * 10, [GREEDY] * 10)
    model.may_step.set()

    assert all(tokens(future) == [20] * 10 for future in futures)


def test_refused_text_leaves_nothing_in_the_line(busy, model):
    accepted = submit(busy, [20] * 4, GREEDY)
    with pytest.raises(Overloaded):
        busy.submit([[30], [40]], [GREEDY, GREEDY])
    model.may_step.set()
    tokens(accepted)

    assert model.admitted == [[[10] * 200], [[20] * 4]]


def test_beam_wider_than_the_batch_is_refused(scheduler):
    with pytest.raises(InvalidRequest, match="beam width 5 exceeds 4") as refused:
        submit(scheduler, [10], SearchOptions(width=5))
    assert refused.value.field == "beam"


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


def test_cancellation_during_a_last_step_harms_nobody_else(busy, model):
    abandoned, other = busy.submit([[], [20, 21]], [GREEDY, GREEDY])
    model.on_step = lambda num_rows: num_rows == 3 and abandoned.cancel()
    model.may_step.set()

    assert tokens(other) == [20, 21]
    assert abandoned.cancelled()


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


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_worker_that_dies_takes_nobody_with_it_into_silence(model):
    class Died(BaseException):
        pass

    def die(num_rows: int) -> None:
        raise Died

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


def test_speed_predicts_the_wait_from_what_was_measured():
    speed = Speed()
    speed.note(num_tokens=100, seconds=0.5)

    assert speed.seconds_for(2000, workers=2) == 5


def test_speed_predicts_one_second_while_nothing_was_measured():
    assert Speed().seconds_for(1_000_000, workers=1) == 1


def test_what_happened_to_sentences_is_counted(model):
    scheduler = Scheduler(model, workers=1, max_rows=4, max_waiting_tokens=9, model="counted/1")
    model.may_step.clear()
    cancelled, finished = scheduler.submit([[10] * 9, [20, 21]], [GREEDY, GREEDY])
    cancelled.cancel()
    model.may_step.set()
    finished.result(5)
    model.fails = True
    submit(scheduler, [30], GREEDY).exception(5)
    scheduler.close()

    def counted(name: str, **labels: str) -> float | None:
        return REGISTRY.get_sample_value(f"dragoman_{name}", {"model": "counted/1", **labels})

    assert counted("sentences_total", finish_reason="eos") == 1
    assert counted("source_tokens_total") == 2
    assert counted("target_tokens_total") == 3  # EOS too
    assert counted("cancelled_sentences_total") == 1
    assert counted("failed_sentences_total") == 1
    assert (counted("waiting_sentences"), counted("waiting_tokens")) == (0, 0)
    assert counted("rows") == 0


def test_rows_of_dead_hypotheses_are_told_from_useful_ones(model):
    scheduler = Scheduler(model, workers=1, max_rows=4, max_waiting_tokens=9, model="rows/1")
    tokens(submit(scheduler, [], BEAM))
    scheduler.close()

    labels = {"model": "rows/1"}
    # EOS ends the sentence at its first step, when only one of the two rows is a hypothesis.
    assert REGISTRY.get_sample_value("dragoman_useful_rows_total", labels) == 1
    assert REGISTRY.get_sample_value("dragoman_step_rows_total", labels) == 2
