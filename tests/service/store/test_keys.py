from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from service.store import Allowance, KeyRecord, Keys, Work
from service.store.schema import Instant

NOW = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)
RECORD = KeyRecord(
    id="a",
    name="Käse 'quoted'",
    digest="0" * 64,
    scopes=frozenset({"translate", "documents"}),
    allowance=Allowance(1, None, 10**12),
    created=NOW,
    expires=NOW.astimezone(timezone(timedelta(hours=2))),
)


@pytest.fixture
def keys(store) -> Keys:
    keys = Keys(store)
    keys.add(RECORD)
    return keys


def test_key_is_read_as_it_was_added(keys):
    assert keys.read_all(NOW) == [RECORD]


def test_keys_are_read_in_the_order_of_their_making(keys):
    keys.add(replace(RECORD, id="0", created=NOW + timedelta(seconds=1)))

    assert [record.id for record in keys.read_all(NOW)] == ["a", "0"]


def test_use_is_told_for_the_month_alone(keys):
    done = {("a", "2026-01"): Work(5, 1), ("a", "2026-02"): Work(7, 2)}

    recorded = keys.record(done, {"a": NOW}, NOW)

    assert recorded == [replace(RECORD, this_month=Work(5, 1), last_used=NOW)]
    assert keys.read_all(NOW + timedelta(hours=1))[0].this_month == Work(7, 2)
    assert keys.read_all(NOW + timedelta(days=60))[0].this_month == Work(0, 0)


def test_nothing_that_many_servers_write_at_once_is_lost(keys):
    def write(_):
        keys.record({("a", "2026-01"): Work(3, 1)}, {"a": NOW}, NOW)

    with ThreadPoolExecutor(8) as servers:
        list(servers.map(write, range(40)))

    assert keys.read_all(NOW)[0].this_month == Work(120, 40)


def test_revoked_key_stays_revoked(keys):
    assert keys.revoke("a", NOW)
    assert not keys.revoke("a", NOW + timedelta(days=1))
    assert not keys.revoke("b", NOW)
    assert keys.read_all(NOW)[0].revoked == NOW


OFFSETS = st.integers(-840, 840).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(1900, 1, 2), datetime(2999, 1, 1), timezones=OFFSETS))
def test_instant_comes_back_from_a_database_that_forgets_zones(instant):
    column, dialect = Instant(), sqlite.dialect()

    kept = column.process_bind_param(instant, dialect).replace(tzinfo=None)

    assert column.process_result_value(kept, dialect) == instant
