import asyncio
import sys
import threading
from collections import Counter
from datetime import UTC, datetime

import pytest

from service import keyring
from service.errors import StoreUnavailable
from service.keyring import KeyRing, new_key
from service.ledger import Ledger
from service.store import Allowance, Work

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY, RECORD = new_key("test", ["translate"], Allowance(), NOW, None)


class FakeKeys:
    """A table of one key, which can fail, and can be held in the middle of a write."""

    def __init__(self) -> None:
        self.fails = False
        self.num_looks = 0
        self.done = Counter()
        self.may_end = threading.Event()
        self.may_end.set()
        self.is_asked = threading.Event()

    def record(self, done, last_used, now):
        self.num_looks += 1
        self.is_asked.set()
        assert self.may_end.wait(5)
        if self.fails:
            raise StoreUnavailable("no")
        self.done.update({id: work.characters for (id, _), work in done.items()})
        return [RECORD]


@pytest.fixture
def keys() -> FakeKeys:
    return FakeKeys()


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(lambda: NOW)


@pytest.fixture
def ring(keys, ledger) -> KeyRing:
    return KeyRing(keys, ledger)


def test_keys_are_believed_while_the_store_is_away_for_a_moment(ring, keys):
    async def ask():
        await ring.step()
        keys.fails = True
        return await ring.find("dgm_a_b"), await ring.find(KEY)

    assert asyncio.run(ask()) == (None, RECORD)


def test_keys_are_not_believed_for_ever(ring, keys, monkeypatch):
    monkeypatch.setattr(keyring, "TRUSTED_SECONDS", 0.0)

    async def ask():
        await ring.step()
        await ring.find(KEY)

    with pytest.raises(StoreUnavailable):
        asyncio.run(ask())


def test_no_key_is_refused_while_none_is_known(ring, keys):
    keys.fails = True

    with pytest.raises(StoreUnavailable):
        asyncio.run(ring.find(KEY))


def test_many_keys_that_are_not_found_are_looked_for_together(ring, keys):
    async def ask():
        await ring.step()
        found = await asyncio.gather(*[ring.find(f"dgm_{i}_b") for i in range(100)])
        return found, keys.num_looks

    assert asyncio.run(ask()) == ([None] * 100, 2)


def test_known_key_waits_for_no_store(ring, keys):
    async def ask():
        await ring.step()
        keys.may_end.clear()
        step = asyncio.create_task(ring.step())
        await asyncio.to_thread(keys.is_asked.wait, 5)
        found = await ring.find(KEY)
        keys.may_end.set()
        await step
        return found

    assert asyncio.run(ask()) == RECORD


def test_use_that_could_not_be_written_is_written_the_next_time(ring, keys, ledger):
    async def work():
        ledger.add("a", Work(5, 1))
        keys.fails = True
        with pytest.raises(StoreUnavailable):
            await ring.step()
        ledger.add("a", Work(6, 1))
        keys.fails = False
        await ring.step()
        await ring.step()

    asyncio.run(work())

    assert keys.done == {"a": 11}


def test_use_during_a_write_is_written_the_next_time(ring, keys, ledger):
    async def work():
        ledger.add("a", Work(5, 1))
        keys.may_end.clear()
        step = asyncio.create_task(ring.step())
        await asyncio.to_thread(keys.is_asked.wait, 5)
        ledger.add("a", Work(6, 1))
        keys.may_end.set()
        await step
        await ring.step()

    asyncio.run(work())

    assert keys.done == {"a": 11}


def test_caller_who_goes_away_takes_nothing_with_him(ring, keys, ledger):
    async def work():
        ledger.add("a", Work(5, 1))
        keys.may_end.clear()
        asking = asyncio.create_task(ring.find("dgm_a_b"))
        await asyncio.to_thread(keys.is_asked.wait, 5)
        asking.cancel()
        keys.may_end.set()
        await ring.step()

    asyncio.run(work())

    assert keys.done == {"a": 5}


def test_caller_who_goes_away_leaves_the_others_their_answer(ring, keys):
    async def ask():
        await ring.step()
        keys.may_end.clear()
        keys.is_asked.clear()
        leaving, staying = [asyncio.create_task(ring.find("dgm_a_b")) for _ in range(2)]
        await asyncio.to_thread(keys.is_asked.wait, 5)
        leaving.cancel()
        keys.may_end.set()
        return await staying

    assert asyncio.run(ask()) is None


def test_unknown_key_takes_the_very_steps_of_a_wrong_one(ring):
    def calls_for(presented: str) -> Counter:
        calls: Counter = Counter()

        def count(frame, event, argument) -> None:
            if event in ("call", "c_call"):
                calls[getattr(argument, "__name__", frame.f_code.co_name)] += 1

        sys.setprofile(count)
        try:
            ring._match(presented)
        finally:
            sys.setprofile(None)
        return calls

    asyncio.run(ring.step())
    wrong = KEY[:-1] + ("a" if KEY[-1] != "a" else "b")
    unknown = wrong.replace(RECORD.id, RECORD.id[::-1])

    assert calls_for(wrong)["compare_digest"] == 1
    assert calls_for(unknown) == calls_for(wrong)
