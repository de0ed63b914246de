import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.evaluations.plots import EDGE, LONGEST, MAX_TICKS, draw_axes, measure_bars

SCORES = st.floats(0, 300)
GROUPS = st.lists(st.lists(SCORES, min_size=1, max_size=6), min_size=1, max_size=4)


@given(GROUPS)
def test_every_value_stands_within_its_axis(groups):
    for values, axis in zip(groups, draw_axes(groups), strict=True):
        assert all(EDGE <= axis.place(value) <= 100 - EDGE for value in values)


@given(GROUPS)
def test_axes_are_of_one_length(groups):
    lengths = [axis.place(axis.low + 0.5) - axis.place(axis.low) for axis in draw_axes(groups)]

    assert lengths == pytest.approx([lengths[0]] * len(lengths), abs=0.01)


@given(GROUPS)
def test_ticks_are_a_few_and_stand_where_they_say(groups):
    for axis in draw_axes(groups):
        ticks = axis.ticks()

        assert 2 <= len(ticks) <= MAX_TICKS
        assert len({tick.label for tick in ticks}) == len(ticks)
        assert all(tick.at == axis.place(float(tick.label)) for tick in ticks)


def test_ticks_are_round_numbers():
    (axis,) = draw_axes([[33.9, 36.8]])

    assert [tick.label for tick in axis.ticks()] == ["34", "35", "36", "37"]


def test_interval_is_placed_with_its_score():
    (axis,) = draw_axes([[10.0, 20.0]])
    span = axis.span(15.0, (10.0, 20.0))

    assert span.at == 50
    assert span.at - span.low == pytest.approx(span.high - span.at)
    assert axis.span(15.0, None).low is None


def test_bars_are_as_long_as_their_values():
    assert measure_bars([40.0, 10.0, None, 0.0]) == [LONGEST, LONGEST / 4, None, 0.0]


def test_bars_of_nothing_but_zeros_have_no_length():
    assert measure_bars([0.0, 0.0]) == [0.0, 0.0]
