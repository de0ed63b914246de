"""Dropout: which units, at which positions, and only in training."""

import pytest
import torch

from training.dropout import build_dropout


def drop(kind, share=0.25):
    torch.manual_seed(2)
    return build_dropout(kind, share)(torch.ones(64, 5, 16))


@pytest.mark.parametrize("kind", ["locked", "independent"])
def test_what_is_kept_makes_up_for_what_is_dropped(kind):
    dropped_BTD = drop(kind)

    assert dropped_BTD.unique().tolist() == pytest.approx([0, 1 / 0.75])
    # at least 1,024 draws: four standard errors
    assert dropped_BTD.mean().item() == pytest.approx(1, abs=0.08)


def test_locked_dropout_drops_the_same_units_at_all_positions_of_a_sentence():
    dropped_BTD = drop("locked")

    assert torch.equal(dropped_BTD, dropped_BTD[:, :1].expand(-1, 5, -1))
    assert not torch.equal(dropped_BTD[0], dropped_BTD[1])


def test_independent_dropout_drops_other_units_at_each_position():
    dropped_BTD = drop("independent")

    # Two positions of 16 units agree by chance in one of 5,000 sentences.
    same_BT = (dropped_BTD[:, 1:] == dropped_BTD[:, :-1]).all(-1)
    assert same_BT.double().mean().item() < 0.02


@pytest.mark.parametrize("kind", ["locked", "independent"])
def test_nothing_is_dropped_when_not_training_or_when_nothing_shall_be(kind):
    x_BTD = torch.randn(3, 4, 5)

    assert torch.equal(build_dropout(kind, 0.5).eval()(x_BTD), x_BTD)
    assert torch.equal(build_dropout(kind, 0.0)(x_BTD), x_BTD)
