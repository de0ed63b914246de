import pytest
import torch

from training.averaging import KeptCheckpoints

BLEU_BY_STEP = {10: 20.0, 20: 25.0, 30: 22.0, 40: 25.0, 50: 19.0}


def weights(value):
    return {
        "network": {"w": torch.full((2,), float(value))},
        "average": {"w": torch.full((2,), -float(value))},
    }


@pytest.fixture
def kept(tmp_path):
    kept = KeptCheckpoints(tmp_path, 3)
    for step, bleu in BLEU_BY_STEP.items():
        kept.offer(step, bleu, weights(step))
    return kept


def test_best_are_kept_and_the_first_among_equals_is_the_best(kept):
    assert kept.bleu_by_step == {20: 25.0, 40: 25.0, 30: 22.0}
    assert kept.best_step == 20


def test_mean_is_that_of_the_kept_ones(kept):
    assert kept.mean("network")["w"].tolist() == pytest.approx([30, 30])
    assert kept.mean("average")["w"].tolist() == pytest.approx([-30, -30])


def test_files_go_only_when_they_are_to_be_forgotten(kept, tmp_path):
    before = sorted(int(path.stem) for path in tmp_path.iterdir())

    kept.forget_others()

    assert before == [10, 20, 30, 40]
    assert sorted(int(path.stem) for path in tmp_path.iterdir()) == [20, 30, 40]


def test_equal_one_that_came_later_is_not_kept_in_place_of_an_earlier(tmp_path):
    kept = KeptCheckpoints(tmp_path, 2)

    for step in (1, 2, 3):
        kept.offer(step, 7.0, weights(step))

    assert list(kept.bleu_by_step) == [1, 2]
    assert not (tmp_path / "3.pt").exists()
