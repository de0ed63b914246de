from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from service.ledger import ANONYMOUS, Ledger
from service.store import Work

NOW = datetime(2026, 1, 31, 23, tzinfo=UTC)
NEXT_MONTH = datetime(2026, 2, 1, tzinfo=UTC)
IDS = st.sampled_from(["a", "b"])
CHARACTERS = st.integers(0, 1000)


class AnyOrder(RuleBasedStateMachine):
    """Work, writes that succeed and writes that fail, in any order: nothing is lost or doubled."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(lambda: NOW)
        self.done = Counter()
        self.written = Counter()
        self.page = None

    @rule(id=IDS, characters=CHARACTERS)
    def work(self, id, characters):
        self.ledger.hold(id, characters)
        self.ledger.hold(id, -characters)
        self.ledger.add(id, Work(characters, 1))
        self.done[id] += characters

    @precondition(lambda self: self.page is None)
    @rule()
    def begin_to_write(self):
        self.page = self.ledger.turn_page()

    @precondition(lambda self: self.page is not None)
    @rule()
    def end_to_write(self):
        for (id, _), work in self.page.done.items():
            self.written[id] += work.characters
        total = {id: Work(characters) for id, characters in self.written.items()}
        self.ledger.written(total, "2026-01")
        self.page = None

    @precondition(lambda self: self.page is not None)
    @rule()
    def fail_to_write(self):
        self.ledger.lost()
        self.page = None

    @invariant()
    def all_is_counted_once(self):
        for id in ("a", "b"):
            assert self.ledger.used(id).characters == self.done[id]


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=40, stateful_step_count=20)


def test_what_is_under_way_counts_as_used():
    ledger = Ledger(lambda: NOW)

    ledger.hold("a", 5)
    assert ledger.used("a") == Work(5, 0)
    ledger.hold("a", -5)
    assert ledger.used("a") == Work(0, 0)


@pytest.mark.parametrize("id", ["a", ANONYMOUS])
@given(before=CHARACTERS, after=CHARACTERS)
def test_month_begins_with_nothing(id, before, after):
    clock = [NOW]
    ledger = Ledger(lambda: clock[0])
    ledger.add(id, Work(before, 1))

    clock[0] = NEXT_MONTH
    ledger.add(id, Work(after, 1))

    assert ledger.used(id) == Work(after, 1)


def test_what_the_store_says_of_a_month_is_of_that_month_alone():
    clock = [NOW]
    ledger = Ledger(lambda: clock[0])
    ledger.written({"a": Work(5, 1)}, "2026-01")
    clock[0] = NEXT_MONTH

    assert ledger.used("a") == Work(0, 0)


def test_work_of_the_last_month_is_still_written():
    clock = [NOW]
    ledger = Ledger(lambda: clock[0])
    ledger.add("a", Work(5, 1))
    clock[0] = NEXT_MONTH

    assert ledger.turn_page().done == {("a", "2026-01"): Work(5, 1)}


def test_what_is_done_without_a_key_is_never_written():
    ledger = Ledger(lambda: NOW)
    ledger.add(ANONYMOUS, Work(5, 1))

    assert ledger.turn_page().done == {}
    assert ledger.used(ANONYMOUS) == Work(5, 1)
