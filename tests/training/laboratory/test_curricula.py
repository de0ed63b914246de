"""In which order difficulties are learnt."""

from collections import Counter

import numpy as np
import pytest

from training.laboratory.curricula import MIXED_SHARE, all_up_to, plan
from training.laboratory.programs import Difficulty

TARGET = Difficulty(3, 2)
STAGES = [Difficulty(n, k) for k in (1, 2) for n in (1, 2, 3)]


def reads(lesson, epoch):
    if lesson.epochs is None:
        return True
    first, last = lesson.epochs
    return first <= epoch and (last == -1 or epoch <= last)


def read_in(curriculum, epoch, epochs=12):
    return [lesson for lesson in plan(curriculum, TARGET, epochs) if reads(lesson, epoch)]


def test_difficulties_go_from_short_to_long_and_then_deeper():
    assert all_up_to(TARGET) == STAGES


@pytest.mark.parametrize("epoch", [0, 5, 11, 40])
def test_baseline_is_the_target_all_the_time(epoch):
    [lesson] = read_in("baseline", epoch)

    assert list(lesson.difficulties) == [TARGET]


@pytest.mark.parametrize("epoch", [0, 11, 40])
def test_mix_is_everything_all_the_time(epoch):
    [lesson] = read_in("mix", epoch)

    assert list(lesson.difficulties) == STAGES


def test_naive_goes_through_the_stages_one_after_the_other():
    stages = [read_in("naive", epoch) for epoch in range(12)]

    assert all(len(each) == 1 and each[0].share == 1 for each in stages)
    assert [each[0].difficulties[0] for each in stages] == [s for s in STAGES for _ in range(2)]
    assert read_in("naive", 99)[0].difficulties == [TARGET]


def test_combined_is_the_stage_and_a_fifth_of_everything():
    for epoch in range(14):
        stage, mixed = read_in("combined", epoch)
        assert stage.difficulties == read_in("naive", epoch)[0].difficulties
        assert list(mixed.difficulties) == STAGES
        assert (stage.share, mixed.share) == (1 - MIXED_SHARE, MIXED_SHARE)


@pytest.mark.parametrize("curriculum", ["naive", "combined"])
def test_fewer_epochs_than_stages_leave_stages_out_but_end_at_the_target(curriculum):
    lessons = read_in(curriculum, 3, epochs=2)

    assert lessons[0].difficulties == [TARGET]
    assert read_in(curriculum, 0, epochs=2)


def test_programs_of_a_lesson_have_its_difficulties():
    [lesson] = plan("mix", Difficulty(1, 2), 1)
    random = np.random.default_rng(1)

    lengths = Counter(len(lesson.draw(random)[0]) for _ in range(200))

    assert len(lengths) > 3
