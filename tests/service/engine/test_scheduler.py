import threading
from time import monotonic

import pytest
from prometheus_client import REGISTRY

from service.engine.hypothesis import SearchOptions
from service.engine.policy import Policy
from service.engine.scheduler import Scheduler
from service.errors import InvalidRequest, Overloaded
from service.record import recording
from tests.service.engine.conftest import (
    BEAM,
    GREEDY,
    CopyingModel,
    each_its_own,
    hold,
    submit,
    tokens,
)


def test_sentences_decoded_together_equal_sentences_decoded_alone(model):
    scheduler = Scheduler(model, workers=1, max_rows=4, max_waiting_tokens=100)
    sources = [[10], [20, 21, 22, 23], [30, 31], [], [40, 41, 42]]

    futures = scheduler.submit(sources, [GREEDY] * 5)

    assert [tokens(future) for future in futures] == sources
    scheduler.close()


def test_record_of_the_request_hears_what_its_sentences_took(scheduler):
    with recording() as record:
        began = monotonic()
        for future in scheduler.submit([[10], [20, 21]], [GREEDY] * 2):
            future.result(5)
        elapsed = monotonic() - began
    submit(scheduler, [30], GREEDY).result(5)

    seconds = record.seconds_by_stage()
    assert seconds.keys() == {"queue", "encode", "decode"}
    assert min(seconds.values()) > 0
    # The longest of each, and the sentences need not have been decoded together.
    assert max(seconds.values()) < elapsed


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

    # One of the first eight ends with each step, yet they wait until three can join five.
    assert [len(sources) for sources in model.admitted] == [8, 3, 1]


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


def test_interactive_sentence_does_not_wait_behind_a_long_line_of_batch(model):
    scheduler = Scheduler(model, workers=1, max_rows=4, max_waiting_tokens=9999)
    model.may_step.clear()
    batch = scheduler.submit([[10, 11, 12]] * 100, [GREEDY] * 100, priority="batch")
    assert model.is_stepping.wait(timeout=5)
    interactive = submit(scheduler, [20], GREEDY)
    model.may_step.set()

    assert tokens(interactive) == [20]
    # Of its four rows the worker keeps one from batch, so that there was nothing to wait for.
    assert model.admitted[:2] == [[[10, 11, 12]] * 3, [[20]]]
    assert model.step_sizes[:2] == [3, 4]
    assert all(tokens(future) == [10, 11, 12] for future in batch)
    scheduler.close()


def test_batch_goes_on_under_an_interactive_stream_that_never_ends(model):
    scheduler = Scheduler(
        model, workers=1, max_rows=4, max_waiting_tokens=9999, policy=Policy(batch_share=0.25)
    )
    batch = []

    def come_again(_: object) -> None:
        if not all(future.done() for future in batch):
            submit(scheduler, [20, 21], GREEDY).add_done_callback(come_again)

    model.may_step.clear()
    for future in scheduler.submit([[20, 21]] * 20, [GREEDY] * 20):
        future.add_done_callback(come_again)
    assert model.is_stepping.wait(timeout=5)
    batch += scheduler.submit([[10, 11]] * 30, [GREEDY] * 30, priority="batch")
    model.may_step.set()
    assert all(tokens(future) == [10, 11] for future in batch)
    scheduler.close()

    order = [source[0] for sources in model.admitted for source in sources]
    last = len(order) - 1 - order[::-1].index(10)
    # Thirty of batch are a quarter of all that went meanwhile; four were being decoded before.
    assert 4 + 90 <= order[:last].count(20) <= 4 + 90 + 4


def test_text_that_would_wait_too_long_is_refused_and_batch_is_not(model):
    policy = Policy(max_wait_seconds=1e-9)
    scheduler = Scheduler(
        model, workers=1, max_rows=1, max_waiting_tokens=99, model="slow/1", policy=policy
    )
    second_step = threading.Event()
    model.on_step = lambda _: len(model.step_sizes) == 1 and hold(model, second_step)
    first = scheduler.submit([[10], [20]], [GREEDY, GREEDY])  # nothing has been measured yet
    assert second_step.wait(timeout=5)

    with pytest.raises(Overloaded, match="the wait would be"):
        submit(scheduler, [30], GREEDY)
    last = scheduler.submit([[40]], [GREEDY], priority="batch")
    labels = {"model": "slow/1", "priority": "interactive"}
    assert REGISTRY.get_sample_value("dragoman_predicted_wait_seconds", labels) > 0
    model.may_step.set()
    assert [tokens(future) for future in first + last] == [[10], [20], [40]]
    scheduler.close()
    assert REGISTRY.get_sample_value("dragoman_predicted_wait_seconds", labels) == 0
    reason = {**labels, "reason": "wait"}
    assert REGISTRY.get_sample_value("dragoman_overloaded_total", reason) == 1


def test_wait_for_company_is_not_taken_for_a_lack_of_speed(model):
    policy = Policy(max_wait_seconds=1e-9)
    scheduler = Scheduler(model, workers=1, max_rows=8, max_waiting_tokens=99, policy=policy)
    fifth_step = threading.Event()
    model.on_step = lambda _: len(model.step_sizes) == 4 and hold(model, fifth_step)
    model.may_step.clear()
    scheduler.submit([[10] * 9] * 4, [GREEDY] * 4)
    assert model.is_stepping.wait(timeout=5)
    early = submit(scheduler, [20], GREEDY)  # one beside four: it waits for another
    model.may_step.set()
    assert fifth_step.wait(timeout=5)
    late = submit(scheduler, [30], GREEDY)
    model.may_step.set()

    assert [tokens(early), tokens(late)] == [[20], [30]]
    assert model.admitted[1:] == [[[20], [30]]]
    scheduler.close()


def test_text_of_any_length_is_accepted_where_nobody_waits(model):
    policy = Policy(max_wait_seconds=1e-9)
    scheduler = Scheduler(model, workers=1, max_rows=1, max_waiting_tokens=1, policy=policy)
    for _ in range(2):  # the second time its speed is known
        assert all(tokens(each) == [10] for each in scheduler.submit([[10]] * 9, [GREEDY] * 9))

    scheduler.close()


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
    assert counted("cancelled_sentences_total", stage="waiting") == 1
    assert counted("failed_sentences_total") == 1
    assert counted("waiting_sentences", priority="interactive") == 0
    assert counted("waiting_tokens", priority="interactive") == 0
    assert counted("queue_seconds_count", priority="interactive") == 2
    assert counted("rows") == 0


def test_rows_of_dead_hypotheses_are_told_from_useful_ones(model):
    scheduler = Scheduler(model, workers=1, max_rows=4, max_waiting_tokens=9, model="rows/1")
    tokens(submit(scheduler, [], BEAM))
    scheduler.close()

    labels = {"model": "rows/1"}
    # EOS ends the sentence at its first step, when only one of the two rows is a hypothesis.
    assert REGISTRY.get_sample_value("dragoman_useful_rows_total", labels) == 1
    assert REGISTRY.get_sample_value("dragoman_step_rows_total", labels) == 2


def test_rows_and_padding_of_each_step_are_told(model):
    scheduler = Scheduler(model, workers=1, max_rows=4, max_waiting_tokens=9, model="padded/1")
    model.may_step.clear()
    futures = scheduler.submit([[10], [20, 21, 22, 23]], [GREEDY, GREEDY])
    model.may_step.set()
    for future in futures:
        future.result(5)
    scheduler.close()

    def told(name: str, **labels: str) -> float | None:
        return REGISTRY.get_sample_value(f"dragoman_{name}", {"model": "padded/1", **labels})

    # Two steps with both, where 3 of 8 positions are padding, then three with the longer one.
    assert (told("batch_rows_sum"), told("batch_rows_count")) == (2 + 2 + 1 + 1 + 1, 5)
    assert told("padding_ratio_sum") == pytest.approx(3 / 8 + 3 / 8)
    assert told("padding_ratio_bucket", le="0.01") == 3
