import pytest

from service.engine.admission import Admission
from service.engine.forecast import Forecast
from service.engine.hypothesis import SearchOptions
from service.engine.policy import Policy
from service.engine.waiting_line import Priority, Sentence
from service.engine.waiting_room import WaitingRoom
from service.errors import Overloaded


def admission(
    *,
    interactive: int = 0,
    batch: int = 0,
    workers: int = 1,
    jitter: float = 0.0,
    max_tokens: int = 10_000,
) -> Admission:
    """The admission to a room where sentences of so many source tokens wait."""
    policy = Policy(max_wait_seconds=4.0, jitter=lambda: jitter)
    room = WaitingRoom(policy)
    tokens: dict[Priority, int] = {"interactive": interactive, "batch": batch}
    for priority, count in tokens.items():
        if count:
            room.add(Sentence([7] * count, SearchOptions(), priority))
    made = Admission(room, policy, max_tokens, "admission/1")
    made.workers = workers
    return made


def test_wait_is_foreseen_from_what_was_measured():
    forecast = Forecast()
    forecast.note(work=100, seconds=0.5)

    assert forecast.seconds_for(2000, workers=2) == 5


def test_speed_follows_what_was_measured_last():
    forecast = Forecast()
    forecast.note(work=1_000, seconds=1)
    for _ in range(5000):
        forecast.note(work=1, seconds=0.1)

    assert forecast.seconds_for(10, workers=1) == pytest.approx(1, rel=0.01)


def test_speed_that_drops_is_noticed_within_the_wait_that_is_bounded():
    forecast = Forecast()
    for _ in range(1000):
        forecast.note(work=100, seconds=0.01)
    for _ in range(40):
        forecast.note(work=100, seconds=0.1)

    # Of 9,000 a second that are lost, after four half-lives 9,000 / 16 are still believed in.
    assert forecast.seconds_for(1000, workers=1) == pytest.approx(
        1000 / (1000 + 9000 / 16), rel=0.05
    )


def test_nothing_is_refused_by_a_wait_that_cannot_be_foreseen():
    admission(interactive=10_000).check("interactive")


def test_interactive_text_that_would_wait_too_long_is_refused():
    full = admission(interactive=500)
    full.forecast.note(work=100, seconds=1)

    with pytest.raises(Overloaded, match=r"the wait would be 5\.0 s, more than 4 s"):
        full.check("interactive")
    full.workers = 2
    full.check("interactive")


def test_batch_may_wait_as_long_as_it_must():
    full = admission(interactive=500, batch=5000)
    full.forecast.note(work=100, seconds=1)

    full.check("batch")


def test_line_of_batch_does_not_keep_interactive_texts_out():
    full = admission(batch=20_000)
    full.forecast.note(work=100, seconds=1)

    full.check("interactive")
    with pytest.raises(Overloaded, match="20000 tokens are waiting, more than 10000"):
        full.check("batch")


@pytest.mark.parametrize(("jitter", "seconds"), [(0.0, 9), (0.5, 14), (0.99, 18)])
def test_those_who_are_refused_are_told_to_come_back_at_different_times(jitter, seconds):
    full = admission(interactive=900, jitter=jitter)
    full.forecast.note(work=100, seconds=1)

    with pytest.raises(Overloaded) as refused:
        full.check("interactive")
    assert refused.value.retry_after_seconds == seconds


def test_retry_after_is_at_least_one_second():
    with pytest.raises(Overloaded) as refused:
        admission(interactive=11, max_tokens=10).check("interactive")

    assert refused.value.retry_after_seconds == 1


def test_nobody_is_accepted_where_nobody_works():
    with pytest.raises(Overloaded, match="unloaded"):
        admission(workers=0).check("interactive")
