"""The scores of additive attention in chunks against the ones of all pairs at once."""

import numpy as np
import pytest
import torch

from training import additive_scores
from training.additive_scores import scores_at_once

ROWS, TARGETS, SOURCES, SIZE = 5, 3, 4, 6


@pytest.fixture(params=[1, 2], ids=lambda rows: f"{rows} rows in a chunk", autouse=True)
def _small_chunks(request, monkeypatch):
    """The last chunk is not full."""
    monkeypatch.setattr(additive_scores, "CHUNK", request.param * TARGETS * SOURCES * SIZE)


def random_case(heads, dtype=torch.float64):
    torch.manual_seed(6)
    shapes = (ROWS, TARGETS, SIZE), (ROWS, SOURCES, SIZE), (heads, SIZE)
    return [torch.randn(*shape, dtype=dtype, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("scores", [additive_scores.additive_scores, scores_at_once])
def test_scores_follow_the_equation(scores, heads):
    query_BTA, keys_BSA, vectors_JA = case = random_case(heads)

    scores_BTSJ = scores(*case)

    for i in np.ndindex(ROWS, TARGETS, SOURCES):
        row, target, source = i
        hidden_A = np.tanh((query_BTA[row, target] + keys_BSA[row, source]).detach().numpy())
        expected_J = vectors_JA.detach().numpy() @ hidden_A
        np.testing.assert_allclose(scores_BTSJ[i].detach().numpy(), expected_J, atol=1e-12)


@pytest.mark.parametrize("heads", [1, 3])
def test_gradients_are_those_of_the_equation(heads):
    assert torch.autograd.gradcheck(additive_scores.additive_scores, random_case(heads))


def test_scores_saturate_where_tanh_does():
    query_BTA = torch.full((1, 1, 1), 200.0)
    keys_BSA = torch.tensor([-400.0, -200.0, 0.0])[None, :, None]

    scores_BTSJ = additive_scores.additive_scores(query_BTA, keys_BSA, torch.ones(1, 1))

    assert scores_BTSJ.flatten().tolist() == [-1, 0, 1]


def test_half_precision_is_not_halved_further():
    case = [part.detach().bfloat16().requires_grad_() for part in random_case(2)]
    expected = scores_at_once(*(part.double() for part in case))

    with torch.autocast("cpu", torch.bfloat16):
        scores_BTSJ = additive_scores.additive_scores(*case)

    torch.testing.assert_close(scores_BTSJ.double(), expected, rtol=0, atol=1e-5)
    gradients = torch.autograd.grad(scores_BTSJ.sum(), case)
    assert {gradient.dtype for gradient in gradients} == {torch.bfloat16}


def test_pairs_are_not_kept_for_the_gradients():
    kept = []
    case = random_case(1)

    with torch.autograd.graph.saved_tensors_hooks(kept.append, lambda tensor: tensor):
        additive_scores.additive_scores(*case)

    assert max(tensor.numel() for tensor in kept) < ROWS * TARGETS * SOURCES * SIZE
