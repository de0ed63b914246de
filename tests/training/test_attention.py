"""Attention against its equations in numpy."""

import numpy as np
import pytest
import torch

from training.attention import attend, build_attention

ROWS, SOURCES, TARGETS, SIZE = 2, 4, 3, 6
MEMORY = {"dot": SIZE, "general": 5, "additive": 5}
MASK = torch.tensor([[True, True, True, True], [True, True, False, False]])


def dot(query, memory, weights):
    return query @ memory


def general(query, memory, weights):
    return query @ weights["key.weight"] @ memory


def additive(query, memory, weights):
    projected = weights["key.weight"] @ memory + weights["key.bias"]
    return weights["score.weight"][0] @ np.tanh(weights["query.weight"] @ query + projected)


EQUATIONS = {"dot": dot, "general": general, "additive": additive}


def random_case(kind):
    torch.manual_seed(5)
    attention = build_attention(kind, SIZE, MEMORY[kind]).double()
    query_BTH = torch.randn(ROWS, TARGETS, SIZE, dtype=torch.float64)
    memory_BSM = torch.randn(ROWS, SOURCES, MEMORY[kind], dtype=torch.float64)
    return attention, query_BTH, memory_BSM


@pytest.mark.parametrize("kind", EQUATIONS)
def test_scores_follow_the_equation(kind):
    attention, query_BTH, memory_BSM = random_case(kind)
    weights = {name: value.detach().numpy() for name, value in attention.named_parameters()}
    expected = [
        [[EQUATIONS[kind](query, memory, weights) for memory in memories] for query in queries]
        for queries, memories in zip(query_BTH.numpy(), memory_BSM.numpy(), strict=True)
    ]

    scores_BTS = attention.scores(query_BTH, attention.project(memory_BSM))

    np.testing.assert_allclose(scores_BTS.detach().numpy(), expected, atol=1e-12)


def test_context_is_the_mean_of_the_memory_under_the_softmax_of_the_scores():
    _, _, memory_BSM = random_case("dot")
    scores = np.random.default_rng(1).normal(size=(ROWS, TARGETS, SOURCES))
    powers = np.exp(scores) * MASK.numpy()[:, None]
    weights = powers / powers.sum(-1, keepdims=True)

    context_BTM, weights_BTS = attend(torch.from_numpy(scores), memory_BSM, MASK)

    np.testing.assert_allclose(weights_BTS.numpy(), weights, atol=1e-12)
    np.testing.assert_allclose(context_BTM.numpy(), weights @ memory_BSM.numpy(), atol=1e-12)


def test_padding_has_a_weight_of_exactly_zero_whatever_it_scores():
    _, _, memory_BSM = random_case("dot")
    scores_BTS = torch.zeros(ROWS, TARGETS, SOURCES, dtype=torch.float64)
    scores_BTS[1, :, 2:] = 1e9

    _, weights_BTS = attend(scores_BTS, memory_BSM, MASK)

    assert weights_BTS[1].tolist() == [[0.5, 0.5, 0.0, 0.0]] * TARGETS


def test_dot_refuses_sizes_that_differ():
    with pytest.raises(ValueError, match=r"decoder_size 6 .* twice encoder_size, 5"):
        build_attention("dot", 6, 5)
