"""The chunked loss against the one that holds all logits."""

import pytest
import torch
from torch.nn.functional import cross_entropy, linear

from training.loss import CHUNK, smoothed_cross_entropy

VOCABULARY, SIZE = 11, 4


def random_case(num_tokens):
    torch.manual_seed(4)
    inputs = [
        torch.randn(*shape, requires_grad=True)
        for shape in ((num_tokens, SIZE), (VOCABULARY, SIZE), (VOCABULARY,))
    ]
    return inputs, torch.randint(VOCABULARY, (num_tokens,))


def reference(inputs, targets, smoothing):
    return cross_entropy(linear(*inputs), targets, reduction="sum", label_smoothing=smoothing)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("num_tokens", [1, CHUNK, 2 * CHUNK + 7])
def test_loss_and_gradients_are_those_of_the_whole(num_tokens, smoothing):
    inputs, targets = random_case(num_tokens)
    whole = reference(inputs, targets, smoothing)
    expected = torch.autograd.grad(whole / 3, inputs)

    loss = smoothed_cross_entropy(*inputs, targets, smoothing)

    torch.testing.assert_close(loss, whole, rtol=1e-5, atol=1e-4)
    for found, wanted in zip(torch.autograd.grad(loss / 3, inputs), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_loss_in_half_precision_stays_near_and_its_gradients_are_whole():
    inputs, targets = random_case(CHUNK + 1)
    whole = reference(inputs, targets, 0.1)

    with torch.autocast("cpu", torch.bfloat16):
        loss = smoothed_cross_entropy(*inputs, targets, 0.1)

    assert loss.item() == pytest.approx(whole.item(), rel=0.01)
    assert {each.dtype for each in torch.autograd.grad(loss, inputs)} == {torch.float32}


def unlikely_case(strength):
    """Tokens of which two are never right and have a probability of `exp(-strength)`."""
    hidden, bias = torch.ones(3, 1, requires_grad=True), torch.zeros(4, requires_grad=True)
    weight = torch.tensor([[0.0], [0.0], [-strength], [-strength]], requires_grad=True)
    return [hidden, weight, bias], torch.tensor([0, 1, 0])


def test_scaled_gradients_are_those_of_the_scaled_loss():
    inputs, targets = random_case(CHUNK + 1)
    scale = torch.tensor(2.0**12) / 37
    expected = torch.autograd.grad(reference(inputs, targets, 0.1) * scale, inputs)

    loss = smoothed_cross_entropy(*inputs, targets, 0.1, scale)

    torch.testing.assert_close(loss, reference(inputs, targets, 0.1), rtol=1e-5, atol=1e-4)
    for found, wanted in zip(torch.autograd.grad(loss * scale, inputs), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize(("exponent", "is_lost"), [(0, True), (12, False)])
def test_small_gradients_survive_fp16_when_the_scale_is_known(exponent, is_lost):
    inputs, targets = unlikely_case(strength=17.0)  # exp(-17) is 4e-8; fp16 ends at 6e-8
    scale = torch.tensor(2.0**exponent)
    wanted = torch.autograd.grad(reference(inputs, targets, 0.0) * scale, inputs)[1]

    with torch.autocast("cpu", torch.float16):
        loss = smoothed_cross_entropy(*inputs, targets, 0.0, scale)

    found = torch.autograd.grad(loss * scale, inputs)[1]
    assert found[2:].count_nonzero() == (0 if is_lost else 2)
    if not is_lost:
        torch.testing.assert_close(found, wanted, rtol=0.01, atol=0)
