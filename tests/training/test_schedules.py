"""The learning rate rises, and then does what its schedule says."""

import math

import pytest

from training.recipe import TrainingRecipe
from training.schedules import learning_rate, teacher_share

OF_SCHEDULE = {
    "trapezoid": {"decay_steps": 10},
    "plateau": {"plateau_factor": 0.5, "plateau_patience": 2},
}


def rate(schedule, step, cuts=0):
    recipe = TrainingRecipe(
        batch_tokens=1,
        learning_rate=0.8,
        schedule=schedule,
        warmup_steps=4,
        max_steps=20,
        validate_steps=1,
        **OF_SCHEDULE.get(schedule, {}),
    )
    return learning_rate(recipe, step, cuts)


@pytest.mark.parametrize(
    ("schedule", "step", "expected"),
    [
        ("trapezoid", 0, 0.2),
        ("trapezoid", 3, 0.8),
        ("trapezoid", 10, 0.8),
        ("trapezoid", 15, 0.4),
        ("trapezoid", 19, 0.08),
        ("trapezoid", 20, 0.0),
        ("inverse_sqrt", 1, 0.4),
        ("inverse_sqrt", 3, 0.8),
        ("inverse_sqrt", 15, 0.4),
        ("cosine", 1, 0.4),
        ("cosine", 3, 0.8),
        ("cosine", 3 + 17 / 3, 0.6),  # the cosine of 60 degrees is a half
        ("cosine", 3 + 17 / 2, 0.4),
        ("cosine", 20, 0.0),
        ("cosine", 30, 0.0),
        ("plateau", 1, 0.4),
        ("plateau", 3, 0.8),
        ("plateau", 19, 0.8),
    ],
)
def test_rate_follows_its_schedule(schedule, step, expected):
    assert rate(schedule, step) == pytest.approx(expected)


@pytest.mark.parametrize(("cuts", "expected"), [(1, 0.4), (3, 0.1)])
def test_each_plateau_lowers_the_rate_by_its_factor(cuts, expected):
    assert rate("plateau", 10, cuts) == pytest.approx(expected)


def share(teacher, step, **changes):
    recipe = TrainingRecipe(
        batch_tokens=1,
        learning_rate=0.8,
        schedule="cosine",
        warmup_steps=1,
        max_steps=20,
        validate_steps=1,
        teacher=teacher,
        **changes,
    )
    return teacher_share(recipe, step)


@pytest.mark.parametrize(
    ("teacher", "step", "expected"),
    [
        ("linear", 0, 1.0),
        ("linear", 4, 0.6),
        ("linear", 30, 0.0),
        ("exponential", 0, 1.0),
        ("exponential", 20, math.exp(-2)),
        ("inverse_sigmoid", 0, 10 / 11),
        # k / (k + exp(i / k)) is a half where exp(i / k) = k
        ("inverse_sigmoid", 10 * math.log(10), 0.5),
        ("inverse_sigmoid", 1_000_000, 0.0),
    ],
)
def test_teacher_tells_ever_less(teacher, step, expected):
    assert share(teacher, step, teacher_steps=10) == pytest.approx(expected, abs=1e-12)


def test_teacher_tells_no_less_than_the_least_and_all_unless_told_otherwise():
    assert share("linear", 30, teacher_steps=10, teacher_least=0.25) == 0.25
    assert share("always", 30) == 1.0
