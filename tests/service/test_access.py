import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from service.access import Access, AccessPolicy
from service.errors import (
    Forbidden,
    KeyRequired,
    QuotaExceeded,
    RateLimited,
    TextTooLong,
    Unauthorized,
)
from service.keyring import new_key
from service.ledger import Ledger
from service.store import Allowance, Keys, Store, Work

NOW = datetime(2026, 2, 27, 12, tzinfo=UTC)
HOME = "127.0.0.1"


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path) -> Iterator[Store]:
    store = Store(tmp_path)
    yield store
    store.close()


@pytest.fixture
def keys(store) -> Keys:
    return Keys(store)


@pytest.fixture
def make(keys, clock):
    """Add a key and return it."""

    def make(scopes=("translate",), expires=None, **allowance) -> str:
        key, record = new_key("test", scopes, Allowance(**allowance), clock.now, expires)
        keys.add(record)
        return key

    return make


@pytest.fixture
def access(keys, clock) -> Access:
    return Access(AccessPolicy("required"), keys, Ledger(clock))


def id_of(key: str) -> str:
    return key.split("_")[1]


def run(coroutine):
    return asyncio.run(coroutine)


def test_key_is_told_by_its_public_part(access, make):
    key = make()

    assert run(access.identify(key, HOME, "translate")).id == id_of(key)


def test_nothing_that_is_kept_gives_the_key_away(make, tmp_path):
    secret = make().split("_")[2]

    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"translate" in kept
    assert secret.encode() not in kept


def test_keys_differ_and_hold_more_than_128_bits():
    keys = {new_key("", (), Allowance(), NOW, None)[0] for _ in range(100)}

    assert len(keys) == 100
    assert {len(key.split("_")[2]) for key in keys} == {32}  # 62^32 > 2^190


@pytest.mark.parametrize(
    "spoil",
    [
        lambda key: key[:-1] + ("a" if key[-1] != "a" else "b"),
        lambda key: key[:-1],
        lambda key: key + "a",
        lambda key: key.upper(),
        lambda key: key.replace("dgm", "dgn"),
        lambda key: key.split("_")[1],
        lambda key: f"dgm_nobody_{key.split('_')[2]}",
        lambda _: "___",
        lambda _: "käse\ud800",
        lambda _: "0" * 10_000,
    ],
)
def test_what_is_not_exactly_the_key_is_refused(access, make, spoil):
    with pytest.raises(Unauthorized, match="not one of this service"):
        run(access.identify(spoil(make()), HOME, "translate"))


@pytest.mark.parametrize("key", [None, ""])
def test_key_is_asked_for_where_there_is_none(access, key):
    with pytest.raises(KeyRequired):
        run(access.identify(key, HOME, "translate"))


def test_key_is_good_for_its_scopes_only(access, make):
    with pytest.raises(Forbidden, match="not for documents"):
        run(access.identify(make(), HOME, "documents"))


def test_admin_may_everything(access, make):
    assert run(access.identify(make(["admin"]), HOME, "documents"))


def test_any_key_will_do_where_no_scope_is_asked_for(access, make):
    assert run(access.identify(make(["evaluate"]), HOME, None))


def test_key_ends_at_its_hour(access, make, clock):
    key = make(expires=NOW + timedelta(hours=1))
    run(access.identify(key, HOME, "translate"))
    clock.now += timedelta(hours=1)

    with pytest.raises(Unauthorized, match="is expired"):
        run(access.identify(key, HOME, "translate"))


def test_revoked_key_ends_at_the_next_step(access, make, keys):
    key = make()
    run(access.identify(key, HOME, "translate"))

    assert keys.revoke(id_of(key), NOW)
    run(access._ring.step())
    with pytest.raises(Unauthorized, match="is revoked"):
        run(access.identify(key, HOME, "translate"))


def test_key_is_revoked_once(keys, make):
    key = make()

    assert [keys.revoke(id_of(key), NOW), keys.revoke(id_of(key), NOW)] == [True, False]


def test_many_wrong_keys_of_one_address_are_too_many(access):
    async def fail(address: str) -> type[Exception]:
        with pytest.raises((Unauthorized, RateLimited)) as caught:
            await access.identify("dgm_a_b", address, "translate")
        return caught.type

    async def attack() -> list[type[Exception]]:
        first = [await fail("2001:db8::1") for _ in range(10)]
        return [*first, await fail("2001:db8::ffff"), await fail("2001:db8:0:1::1")]

    assert run(attack()) == [Unauthorized] * 10 + [RateLimited, Unauthorized]


def test_right_key_is_served_whatever_others_at_its_address_do(access, make):
    key = make()

    async def attack_and_ask():
        for _ in range(20):
            with pytest.raises((Unauthorized, RateLimited)):
                await access.identify("dgm_a_b", HOME, "translate")
        return await access.identify(key, HOME, "translate")

    assert run(attack_and_ask()).id == id_of(key)


def test_without_keys_the_store_is_not_touched(tmp_path):
    access = Access(AccessPolicy(), Keys(Store(tmp_path / "data")))

    async def ask():
        access.start()
        caller = await access.identify("anything", HOME, "admin")
        caller.charge(5)
        caller.settle(is_done=True)
        await access.close()
        return caller.usage().characters

    assert (run(ask()), list(tmp_path.iterdir())) == (5, [])


def test_optional_key_gives_its_own_allowance(keys, make):
    access = Access(AccessPolicy("optional", Allowance(requests_per_minute=1)), keys)
    key = make(requests_per_minute=9)

    async def ask():
        callers = [await access.identify(each, HOME, "translate") for each in (None, key)]
        return [caller.allowance.requests_per_minute for caller in callers]

    assert run(ask()) == [1, 9]


def test_optional_key_must_be_right(keys):
    with pytest.raises(Unauthorized):
        run(Access(AccessPolicy("optional"), keys).identify("dgm_a_b", HOME, "translate"))


def test_requests_of_a_minute_come_to_an_end_for_one_address_alone(keys):
    access = Access(AccessPolicy("off", Allowance(requests_per_minute=2)), keys)

    async def ask():
        for _ in range(2):
            await access.identify(None, HOME, None)
        await access.identify(None, "10.0.0.1", None)
        await access.identify(None, HOME, None)

    with pytest.raises(RateLimited) as caught:
        run(ask())

    assert (caught.value.rate, caught.value.limit) == ("2 per 1 minute", 2)
    assert 1 <= caught.value.retry_after_seconds <= 60


def charge(access: Access, key: str, *characters: int, is_done: bool = True):
    """Do one piece of work after another."""

    async def work():
        for number in characters:
            caller = await access.identify(key, HOME, "translate")
            caller.charge(number)
            caller.settle(is_done=is_done)
        return (await access.identify(key, HOME, "translate")).usage()

    return run(work())


def test_characters_of_a_minute_come_to_an_end(access, make):
    key = make(characters_per_minute=10)

    with pytest.raises(RateLimited, match="more than 10 characters a minute"):
        charge(access, key, 6, 5)


def test_refused_characters_are_not_drawn(access, make):
    key = make(characters_per_minute=10)
    with pytest.raises(RateLimited):
        charge(access, key, 6, 5)

    assert charge(access, key, 4).characters == 10


def test_text_beyond_the_minute_is_refused_for_good(access, make):
    with pytest.raises(TextTooLong, match="11 characters exceed 10"):
        charge(access, make(characters_per_minute=10), 11)


def test_quota_may_be_used_up_to_the_last_character(access, make):
    key = make(characters_per_month=10)

    assert charge(access, key, 6, 4).characters == 10
    with pytest.raises(QuotaExceeded, match="1 characters exceed the 0 that are left of 10"):
        charge(access, key, 1)


def test_quota_begins_anew_with_the_month(access, make, clock):
    key = make(characters_per_month=10)
    charge(access, key, 10)
    with pytest.raises(QuotaExceeded) as caught:
        charge(access, key, 1)

    clock.now += timedelta(seconds=caught.value.retry_after_seconds)

    assert clock.now == datetime(2026, 3, 1, tzinfo=UTC)
    assert charge(access, key, 1).characters == 1


def test_work_under_way_counts_against_the_quota(access, make):
    key = make(characters_per_month=10)

    async def overlap():
        first, second = [await access.identify(key, HOME, "translate") for _ in range(2)]
        first.charge(6)
        second.charge(6)

    with pytest.raises(QuotaExceeded):
        run(overlap())


def test_failed_work_is_not_counted(access, make):
    usage = charge(access, make(), 6, is_done=False)

    assert (usage.characters, usage.requests) == (0, 0)


def test_failed_part_of_work_is_not_counted(access, make):
    async def work():
        caller = await access.identify(make(), HOME, "translate")
        caller.charge(10)
        caller.refund(4)
        caller.settle(is_done=True)
        caller.settle(is_done=True)
        return caller.usage()

    usage = run(work())
    assert (usage.characters, usage.requests) == (6, 1)


def test_use_survives_the_process(access, make, keys, clock):
    key = make()
    charge(access, key, 5, 6)
    run(access._ring.step())

    usage = charge(Access(AccessPolicy("required"), keys, Ledger(clock)), key)

    assert (usage.characters, usage.requests) == (11, 2)
    assert [record.last_used for record in keys.read_all(NOW)] == [NOW]


def test_two_servers_see_what_the_other_has_written(make, keys, clock):
    key = make()
    first, second = (Access(AccessPolicy("required"), keys, Ledger(clock)) for _ in range(2))
    charge(first, key, 5)
    charge(second, key, 7)

    for access in (first, second, first):
        run(access._ring.step())

    assert [charge(access, key).characters for access in (first, second)] == [12, 12]


def test_use_of_the_last_second_is_written_at_the_end(make, keys):
    key = make()

    async def serve():
        access = Access(AccessPolicy("required"), keys)
        access.start()
        caller = await access.identify(key, HOME, "translate")
        caller.charge(5)
        caller.settle(is_done=True)
        await access.close()

    run(serve())

    assert [record.this_month for record in keys.read_all(datetime.now(UTC))] == [Work(5, 1)]
