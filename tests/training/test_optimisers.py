"""One step of each optimiser against its equation; what is clipped, and what decays."""

import pytest
import torch
from torch import nn

from training.optimisers import build_optimiser, clip_gradients, set_rate
from training.recipe import TrainingRecipe

RATE = 0.1
GRADIENT = torch.tensor([[3.0, -4.0]])
START = torch.tensor([[1.0, 2.0]])


def describe(**changes):
    changes = {"learning_rate": RATE, "schedule": "cosine", **changes}
    return TrainingRecipe(batch_tokens=1, warmup_steps=1, max_steps=9, validate_steps=1, **changes)


def learn(steps=1, **changes):
    """Follow the same gradient for some steps; return the weight and the bias."""
    network = nn.Linear(2, 1)
    optimiser = build_optimiser(network, describe(**changes))
    with torch.no_grad():
        network.weight.copy_(START)
        network.bias.copy_(torch.ones(1))
    for _ in range(steps):
        network.weight.grad, network.bias.grad = GRADIENT.clone(), torch.zeros(1)
        optimiser.step()
    return network.weight.detach(), network.bias.detach()


# after one step the means of Adam are those of its gradient, and Adagrad's sum is its square
SIGN = GRADIENT.sign()
OPTIMISERS = {
    "sgd": ({}, START - RATE * GRADIENT),
    "adam": ({}, START - RATE * SIGN),
    "adamw": ({"weight_decay": 0.01}, (1 - RATE * 0.01) * START - RATE * SIGN),
    "adagrad": ({}, START - RATE * SIGN),
    "rmsprop": ({}, START - RATE * SIGN / 0.1**0.5),  # the mean has taken a tenth of the square
}


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_first_step_is_that_of_the_equation(optimiser):
    changes, expected = OPTIMISERS[optimiser]

    weight, _ = learn(optimiser=optimiser, **changes)

    torch.testing.assert_close(weight, expected)


def test_momentum_carries_the_last_gradient_on():
    weight, _ = learn(steps=2, optimiser="sgd", momentum=0.5)

    torch.testing.assert_close(weight, START - RATE * GRADIENT * (1 + 1.5))


def test_decay_is_added_to_the_gradient_of_all_but_adamw():
    weight, _ = learn(optimiser="sgd", weight_decay=0.1)

    torch.testing.assert_close(weight, START - RATE * (GRADIENT + 0.1 * START))


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_biases_do_not_decay(optimiser):
    _, bias = learn(optimiser=optimiser, weight_decay=0.1)

    assert bias.item() == 1


def test_rate_is_set_for_all_weights():
    optimiser = build_optimiser(nn.Linear(2, 1), describe(weight_decay=0.1))

    set_rate(optimiser, 0.7)

    assert [group["lr"] for group in optimiser.param_groups] == [0.7, 0.7]


def clip(clip_norm, clip_value):
    """Clip a gradient of norm 5 that is spread over two weights."""
    parameters = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    for parameter, gradient in zip(parameters, (3.0, -4.0), strict=True):
        parameter.grad = torch.tensor([gradient])
    norm, is_clipped = clip_gradients(parameters, clip_norm, clip_value)
    return [parameter.grad.item() for parameter in parameters], norm.item(), is_clipped.item()


@pytest.mark.parametrize(
    ("clip_norm", "clip_value", "left", "is_clipped"),
    [
        (None, None, [3, -4], False),
        (6.0, None, [3, -4], False),
        (2.5, None, [1.5, -2], True),
        (None, 4.5, [3, -4], False),
        (None, 3.5, [3, -3.5], True),
        (6.0, 3.0, [3, -3], True),  # by value alone
        (4.5, 9.0, [2.7, -3.6], True),  # by norm alone
        (18**0.5 / 2, 3.0, [1.5, -1.5], True),  # to the norm of what is left
    ],
)
def test_gradient_is_clipped_by_value_and_then_by_norm(clip_norm, clip_value, left, is_clipped):
    found = clip(clip_norm, clip_value)

    assert found == (pytest.approx(left, rel=1e-5), pytest.approx(5), is_clipped)
