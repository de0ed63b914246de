from datetime import UTC, datetime

import pytest

from service.promotions.history import History

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def history(*steps: str, name: str = "tiny") -> History:
    """Build one of steps such as `promoted 1-2`: an action, what served and what serves then."""
    past = History()
    for step in steps:
        action, versions = step.split()
        previous, version = versions.split("-")
        record = past.following(name, version, previous or None, action, NOW)
        past = History([*past.records, record])
    return past


@pytest.mark.parametrize(
    ("steps", "newest", "evaluated"),
    [
        ([], None, None),
        (["adopted -1"], None, "1"),
        (["adopted -1", "promoted 1-2"], None, "2"),
        (["adopted -1", "promoted 1-2", "rolled_back 2-1"], "1", "1"),
        (["rolled_back 2-1", "released 1-3"], None, None),
        (["pinned 3-1"], "1", "1"),
    ],
)
def test_last_promotion_pins_by_mode(steps, newest, evaluated):
    past = history(*steps)

    assert past.pins("newest").get("tiny") == newest
    assert past.pins("evaluated").get("tiny") == evaluated


def test_names_have_histories_of_their_own():
    one, other = history("adopted -1"), history("adopted -5", "promoted 5-6", name="other")
    both = History([*one.records, *other.records])

    assert both.pins("evaluated") == {"tiny": "1", "other": "6"}
    assert [record.number for record in both.of("other")] == [1, 2]


@pytest.mark.parametrize(
    ("steps", "serving", "before"),
    [
        ([], "2", []),
        (["adopted -1"], "1", []),
        (["adopted -1", "promoted 1-2", "promoted 2-3"], "3", ["2", "1"]),
        (["adopted -1", "promoted 1-2", "promoted 2-3", "rolled_back 3-2"], "2", ["1"]),
        (["adopted -1", "promoted 1-2", "rolled_back 2-1", "promoted 1-3"], "3", ["1"]),
        (["rolled_back 2-1"], "1", []),
        (["rolled_back 2-1", "released 1-3"], "4", ["3", "1"]),
        (["pinned 3-1"], "1", ["3"]),
    ],
)
def test_way_back_is_the_versions_that_served_less_those_rolled_back(steps, serving, before):
    assert history(*steps).before("tiny", serving) == before


def test_every_version_that_was_left_has_served():
    assert history("rolled_back 2-1", "released 1-4").has_served("tiny") == {"1", "2", "4"}
