"""The learning rate rises, and then does what its schedule says."""

import pytest

from training.recipe import TrainingRecipe
from training.schedules import learning_rate

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
