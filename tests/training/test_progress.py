"""Where a run stands, and how long it will last."""

import pytest
import torch

from training.learner import Lesson
from training.progress import Position, Window, seconds_left
from training.recipe import TrainingRecipe
from training.terminal import last_line, time_left, validation_line

CPU = torch.device("cpu")
POSITION = Position(
    step=50, seconds=125.0, seconds_validating=25.0, validations=5, tokens=4000, best_bleu=31.26
)


def describe(max_steps, validate_steps, **changes):
    return TrainingRecipe(
        batch_tokens=1,
        learning_rate=1.0,
        schedule="cosine",
        warmup_steps=1,
        max_steps=max_steps,
        validate_steps=validate_steps,
        **changes,
    )


def test_window_tells_the_means_of_its_steps():
    window = Window(CPU)
    for loss, norm, is_clipped in ((6.0, 1.0, False), (8.0, 3.0, True), (10.0, torch.nan, True)):
        lesson = Lesson(torch.tensor(loss), torch.tensor(norm), torch.tensor(is_clipped))
        window.add(lesson, 4)

    summary = window.summary()

    assert summary["loss"] == pytest.approx(2)
    assert summary["gradient_norm"] == pytest.approx(4 / 3)
    assert summary["clip_rate"] == pytest.approx(2 / 3)
    assert summary["tokens_per_second"] > 0


def test_time_left_counts_steps_and_validations():
    # 50 steps of 2 s; validations of 5 s after steps 60, 70, 80, 90 and 100
    assert seconds_left(POSITION, describe(100, 10)) == pytest.approx(50 * 2 + 5 * 5)


def test_last_step_is_validated_whether_or_not_its_turn_has_come():
    # at steps 60, 70, 80, 90 and 95
    assert seconds_left(POSITION, describe(95, 10)) == pytest.approx(45 * 2 + 5 * 5)


def test_choice_at_the_end_is_counted():
    averaged = describe(100, 10, average_best=4)

    assert seconds_left(POSITION, averaged) == pytest.approx(50 * 2 + (5 + 3) * 5)


def test_time_left_is_unknown_before_the_first_step():
    assert seconds_left(Position(), describe(100, 10)) is None


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        (Position(), ""),
        (Position(step=50, seconds=100.0), "0:01:40 and validations left"),
        (POSITION, "at most 0:02:05 left"),
    ],
)
def test_time_left_says_what_it_does_not_know(position, expected):
    assert time_left(position, describe(100, 10)) == expected


def test_line_of_a_validation_names_every_direction():
    summary = {
        "loss": 2.5,
        "gradient_norm": 1.0,
        "clip_rate": 0.25,
        "tokens_per_second": 1234.0,
        "dev_bleu": 20.0,
        "de-en": 21.0,
        "en-de": 19.0,
    }

    line = validation_line(POSITION, summary)

    assert line == (
        "step     50  epoch 1  loss 2.500  clipped 25%  1,234 tokens/s  "
        "dev BLEU 20.0 (de-en 21.0  en-de 19.0)"
    )


def test_last_line_tells_minutes_and_tokens_a_second():
    assert last_line("mine", POSITION) == (
        "mine: dev BLEU 31.3 at step 0, 2.1 minutes, 0.4 of them validating, 40 tokens/s"
    )


def test_of_equal_validations_the_first_is_the_best_unless_told_otherwise():
    first, later = Position(step=1), Position(step=1)
    for position, takes_equal in ((first, False), (later, True)):
        for step in (1, 2):
            position.step = step
            position.judge(100.0, takes_equal=takes_equal)

    assert (first.best_step, first.validations_since_best) == (1, 1)
    assert (later.best_step, later.validations_since_best) == (2, 0)
