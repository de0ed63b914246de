"""R-Drop against its formula, written out with all logits."""

from functools import partial

import pytest
import torch
from torch.nn.functional import cross_entropy, kl_div, linear

from training.loss import CHUNK, smoothed_cross_entropy
from training.r_drop import r_drop_loss

VOCABULARY, SIZE = 11, 4


def random_case(num_tokens, dtype=torch.float32):
    torch.manual_seed(4)
    inputs = [
        torch.randn(*shape, dtype=dtype, requires_grad=True)
        for shape in ((2, num_tokens, SIZE), (VOCABULARY, SIZE), (VOCABULARY,))
    ]
    return inputs, torch.randint(VOCABULARY, (num_tokens,))


def reference(inputs, targets, smoothing, strength):
    """Equations 2 to 4 of the paper, halved."""
    first, second = linear(*inputs)
    entropy = partial(cross_entropy, target=targets, reduction="sum", label_smoothing=smoothing)
    apart = partial(kl_div, reduction="sum", log_target=True)
    p, q = first.log_softmax(-1), second.log_softmax(-1)
    divergence = (apart(q, p) + apart(p, q)) / 2
    return (entropy(first) + entropy(second) + strength * divergence) / 2


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("strength", [0.5, 4.0])
@pytest.mark.parametrize("num_tokens", [1, CHUNK // 2, CHUNK + 7])
def test_loss_and_gradients_are_those_of_the_formula(num_tokens, strength, smoothing):
    inputs, targets = random_case(num_tokens)
    whole = reference(inputs, targets, smoothing, strength)
    expected = torch.autograd.grad(whole / 3, inputs)

    loss = r_drop_loss(*inputs, targets, smoothing, strength)

    torch.testing.assert_close(loss, whole, rtol=1e-5, atol=1e-4)
    for found, wanted in zip(torch.autograd.grad(loss / 3, inputs), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_gradients_are_those_of_small_differences():
    inputs, targets = random_case(5, torch.float64)

    assert torch.autograd.gradcheck(
        lambda *tensors: r_drop_loss(*tensors, targets, 0.1, 2.0), inputs
    )


def test_scaled_gradients_are_those_of_the_scaled_loss():
    inputs, targets = random_case(7, torch.float64)
    scale = torch.tensor(2.0**12) / 37
    expected = torch.autograd.grad(reference(inputs, targets, 0.1, 2.0) * scale, inputs)

    loss = r_drop_loss(*inputs, targets, 0.1, 2.0, scale=scale)

    for found, wanted in zip(torch.autograd.grad(loss * scale, inputs), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_passes_that_agree_lose_what_one_pass_loses():
    (hidden_2NE, weight, bias), targets = random_case(9)
    alike_2NE = hidden_2NE[:1].expand(2, -1, -1)

    loss = r_drop_loss(alike_2NE, weight, bias, targets, 0.1, 4.0)

    torch.testing.assert_close(
        loss, smoothed_cross_entropy(hidden_2NE[0], weight, bias, targets, 0.1)
    )


def test_loss_in_half_precision_stays_near_and_its_gradients_are_whole():
    inputs, targets = random_case(CHUNK + 1)
    whole = reference(inputs, targets, 0.1, 2.0)

    with torch.autocast("cpu", torch.bfloat16):
        loss = r_drop_loss(*inputs, targets, 0.1, 2.0)

    assert loss.item() == pytest.approx(whole.item(), rel=0.01)
    assert {each.dtype for each in torch.autograd.grad(loss, inputs)} == {torch.float32}
