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
