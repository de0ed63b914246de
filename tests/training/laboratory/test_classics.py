"""The classical figures against their closed forms."""

import math

import numpy as np
import pytest

from training.laboratory.classic_pictures import draw_classics, draw_cliff, tabulate_classics
from training.laboratory.classics import (
    CLIFF_START,
    CLIFF_TARGET,
    STEPS,
    cliff_edge,
    climb,
    cobweb,
    find_fixed_points,
    gradients_of_recurrence,
    iterate,
    survey,
)

PNG = b"\x89PNG\r\n\x1a\n"


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize(("weight", "known"), [(1.1, 117.4), (0.9, 0.00515), (1.0, 1.0)])
def test_gradient_of_the_scalar_recurrence_is_a_power_of_its_weight(weight, known):
    gradients = gradients_of_recurrence(weight, 50)

    assert gradients[0] == pytest.approx(known, rel=1e-3)
    assert gradients == pytest.approx([weight ** (50 - t) for t in range(51)])


@pytest.mark.parametrize("weight", [0.5, 0.9, 1.0])
def test_below_one_everything_ends_in_nothing(weight):
    [only] = find_fixed_points(weight)

    assert (only.place, only.slope) == (0.0, weight)


@pytest.mark.parametrize("weight", [1.1, 1.5, 3.0])
def test_above_one_zero_repels_and_two_points_attract(weight):
    low, zero, high = find_fixed_points(weight)

    assert math.tanh(weight * high.place) == pytest.approx(high.place, abs=1e-9)
    assert low.place == -high.place
    assert [point.is_stable for point in (low, zero, high)] == [True, False, True]
    assert iterate(weight, 0.01, 2000)[-1] == pytest.approx(high.place, abs=1e-6)
    assert iterate(weight, -0.01, 2000)[-1] == pytest.approx(low.place, abs=1e-6)


def test_stairs_of_the_cobweb_go_between_map_and_diagonal():
    x, y = cobweb([0.5, 0.4, 0.3])

    assert list(zip(x, y, strict=True)) == [
        (0.5, 0.0),
        (0.5, 0.4),
        (0.4, 0.4),
        (0.4, 0.3),
        (0.3, 0.3),
    ]


def test_without_weight_the_error_is_that_of_the_bias():
    slope = climb(0.0, 1.2)

    above = sigmoid(1.2) - CLIFF_TARGET
    assert slope.error == pytest.approx(above**2)
    assert slope.gradient[1] == pytest.approx(2 * above * sigmoid(1.2) * (1 - sigmoid(1.2)))


@pytest.mark.parametrize("weight", [4.5, 6.0, 7.0])
def test_at_the_edge_the_gradient_is_the_sum_of_a_geometric_series(weight):
    edge = cliff_edge(weight)

    at = sigmoid(CLIFF_START)
    ratio = weight * at * (1 - at)
    by_bias = 2 * (at - CLIFF_TARGET) * at * (1 - at) * (ratio**STEPS - 1) / (ratio - 1)
    # rounding grows as fast as the gradient, so the last step is no longer quite in the point
    assert climb(weight, edge).gradient[1] == pytest.approx(by_bias, rel=0.05)


@pytest.mark.parametrize("weight", [4.5, 6.0, 7.0])
def test_on_both_sides_of_the_edge_the_slope_is_gentle_and_the_error_is_another(weight):
    edge = cliff_edge(weight)
    below, at, above = (climb(weight, edge + shift) for shift in (-0.2, 0.0, 0.2))

    assert below.norm < 1
    assert above.norm < 1
    assert at.norm > 10
    assert below.error > above.error + 0.1


def test_small_weight_has_no_cliff():
    with pytest.raises(ValueError, match="weight 4 has no cliff"):
        cliff_edge(4.0)


def test_survey_is_the_same_as_going_there():
    weights, biases = np.array([4.5, 6.0]), np.array([-3.0, -2.0, -1.0])

    surveyed = survey(weights, biases)

    assert surveyed.shape == (3, 2)
    assert surveyed[2, 1] == pytest.approx(climb(6.0, -1.0).error)


def test_table_and_pictures_are_made(tmp_path):
    draw_classics(tmp_path / "classics.png")
    draw_cliff(tmp_path / "cliff.png")
    values = {row[0]: row[1] for row in tabulate_classics().rows}

    assert values["h = 1.1 h, 50 steps: dh_T/dh_0"] == "117.4"
    assert values["h = 0.9 h, 50 steps: dh_T/dh_0"] == "0.005154"
    assert (tmp_path / "classics.png").read_bytes().startswith(PNG)
    assert (tmp_path / "cliff.png").read_bytes().startswith(PNG)
