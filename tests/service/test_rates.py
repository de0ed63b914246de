from types import SimpleNamespace

import pytest

from service import rates
from service.errors import RateLimited
from service.rates import Rates


@pytest.fixture
def clock(monkeypatch):
    """The time, which the test moves."""
    clock = SimpleNamespace(now=1000.0)
    clock.time = lambda: clock.now
    monkeypatch.setattr(rates, "time", clock)
    return clock


@pytest.fixture
def drawn(clock):
    return Rates()


def refusal(drawn, who="a", limit=10, cost=1) -> RateLimited:
    with pytest.raises(RateLimited) as caught:
        drawn.draw(who, "characters", limit, cost)
    return caught.value


def test_limit_may_be_reached_and_not_passed(drawn):
    drawn.draw("a", "characters", 10, 10)

    assert refusal(drawn).rate == "10 per 1 minute"


def test_who_waits_as_long_as_told_is_served_and_not_before(drawn, clock):
    drawn.draw("a", "characters", 10, 4)
    clock.now += 12.5
    refused = refusal(drawn, cost=10)

    assert refused.retry_after_seconds == 48
    clock.now += 47
    assert refusal(drawn, cost=10).retry_after_seconds == 1
    clock.now += 1
    drawn.draw("a", "characters", 10, 10)


def test_refusal_takes_nothing(drawn):
    drawn.draw("a", "characters", 10, 4)
    refusal(drawn, cost=7)

    drawn.draw("a", "characters", 10, 6)


def test_others_and_other_things_are_counted_for_themselves(drawn):
    drawn.draw("a", "characters", 1)

    drawn.draw("a", "requests", 1)
    drawn.draw("b", "characters", 1)


def test_old_windows_are_forgotten(drawn, clock):
    for i in range(1000):
        drawn.draw(f"{i}", "requests", 1)
    clock.now += 61
    for i in range(1000, 2000):
        drawn.draw(f"{i}", "requests", 1)

    assert len(drawn._limiter.storage._windows) == 1000
