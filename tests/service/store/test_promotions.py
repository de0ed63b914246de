from datetime import UTC, datetime

import pytest

from service.store import PromotionRecord, PromotionTable, Store

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
FIRST = PromotionRecord("tiny", 1, "1", None, "adopted", None, NOW)
SECOND = PromotionRecord("tiny", 2, "2", "1", "promoted", "0" * 32, NOW)
OTHER = PromotionRecord("other", 1, "7", None, "adopted", None, NOW)


@pytest.fixture
def table(store) -> PromotionTable:
    return PromotionTable(store)


def test_promotions_are_read_as_they_were_added_by_another_server(table, tmp_path, address):
    assert table.add([SECOND, FIRST, OTHER])

    other = Store(tmp_path / "data", address)
    assert PromotionTable(other).read_all() == [OTHER, FIRST, SECOND]
    other.close()


def test_number_that_is_taken_is_not_given_again(table):
    table.add([FIRST])

    assert not table.add([PromotionRecord("tiny", 1, "9", None, "promoted", None, NOW)])
    assert table.read_all() == [FIRST]


def test_store_that_nobody_has_opened_has_no_promotions(tmp_path):
    store = Store(tmp_path / "data")
    table = PromotionTable(store)

    assert not table.may_have_rows
    assert not (tmp_path / "data").exists()
    table.add([FIRST])
    assert table.may_have_rows
    store.close()
