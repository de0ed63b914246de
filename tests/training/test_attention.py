"""Attention against its equations in numpy."""

import numpy as np
import pytest
import torch

from training.attention import attend, build_attention

ROWS, SOURCES, TARGETS, SIZE = 2, 4, 3, 6
MEMORY = {"dot": SIZE, "general": 4, "additive": 4}
MASK = torch.tensor([[True, True, True, True], [True, True, False, False]])


def dot(query, memory, weights):
    return query @ memory


def general(query, memory, weights):
    return query @ weights["key.weight"] @ memory


def additive(query, memory, weights):
    projected = weights["key.weight"] @ memory + weights["key.bias"]
    return weights["score.weight"][0] @ np.tanh(weights["query.weight"] @ query + projected)


EQUATIONS = {"dot": dot, "general": general, "additive": additive}
READ = [[0, 3], [1, 4], [2, 5]]
"""The units of the memory that each of three heads reads; the directions meet in the middle."""
COMPARED = [[0, 1], [2, 3], [4, 5]]


def random_case(kind, **options):
    torch.manual_seed(5)
    memory_size = MEMORY[kind]
    attention = build_attention(kind, SIZE, memory_size, **options).double()
    query_BTH = torch.randn(ROWS, TARGETS, SIZE, dtype=torch.float64)
    memory_BSM = torch.randn(ROWS, SOURCES, memory_size, dtype=torch.float64)
    return attention, query_BTH, memory_BSM


def expected_scores(equation, query_BTH, memory_BSM):
    return [
        [[equation(query, memory) for memory in memories] for query in queries]
        for queries, memories in zip(query_BTH.numpy(), memory_BSM.numpy(), strict=True)
    ]


def weights_of(attention):
    return {name: value.detach().numpy() for name, value in attention.named_parameters()}


@pytest.mark.parametrize("kind", EQUATIONS)
def test_scores_follow_the_equation(kind):
    attention, query_BTH, memory_BSM = random_case(kind)
    weights = weights_of(attention)

    scores_BJTS = attention.scores(query_BTH, attention.project(memory_BSM))

    expected_BTS = expected_scores(
        lambda query, memory: EQUATIONS[kind](query, memory, weights), query_BTH, memory_BSM
    )
    assert scores_BJTS.shape[1] == 1
    np.testing.assert_allclose(scores_BJTS[:, 0].detach().numpy(), expected_BTS, atol=1e-12)


def share_dot(query, memory, weights, units):
    return query[units] @ memory[units]


def share_general(query, memory, weights, units):
    return query[units] @ (weights["key.weight"] @ memory)[units]


def share_additive(query, memory, weights, units):
    only = np.zeros(SIZE)
    only[units] = weights["score.weight"][0, units]
    return additive(query, memory, weights | {"score.weight": only[None]})


SHARES = {"dot": share_dot, "general": share_general, "additive": share_additive}


@pytest.mark.parametrize("kind", SHARES)
def test_each_head_compares_in_its_share(kind):
    attention, query_BTH, memory_BSM = random_case(kind, heads=3)
    weights = weights_of(attention)

    scores_BJTS = attention.scores(query_BTH, attention.project(memory_BSM))

    for head, units in enumerate(COMPARED):
        expected_BTS = expected_scores(
            lambda query, memory, units=units: SHARES[kind](query, memory, weights, units),
            query_BTH,
            memory_BSM,
        )
        np.testing.assert_allclose(scores_BJTS[:, head].detach().numpy(), expected_BTS, atol=1e-12)


def test_additive_attention_compares_in_a_size_of_its_own():
    attention, query_BTH, memory_BSM = random_case("additive", size=8)
    weights = weights_of(attention)

    keys_BSA = attention.project(memory_BSM)
    scores_B1TS = attention.scores(query_BTH, keys_BSA)

    expected_BTS = expected_scores(
        lambda query, memory: additive(query, memory, weights), query_BTH, memory_BSM
    )
    assert keys_BSA.shape == (ROWS, SOURCES, 8)
    np.testing.assert_allclose(scores_B1TS[:, 0].detach().numpy(), expected_BTS, atol=1e-12)


def test_scores_of_heads_start_as_large_as_those_of_one():
    torch.manual_seed(3)
    variances = [
        build_attention("additive", 512, 512, heads=heads).score.weight.var() * 512 / heads
        for heads in (1, 8)
    ]

    # 512 draws each: four standard errors
    assert variances[0].item() == pytest.approx(variances[1].item(), rel=0.25)


def softmax(scores):
    powers = np.exp(scores) * MASK.numpy()[:, None]
    return powers / powers.sum(-1, keepdims=True)


def test_context_is_the_mean_of_the_memory_under_the_softmax_of_the_scores():
    _, _, memory_BSM = random_case("dot")
    scores = np.random.default_rng(1).normal(size=(ROWS, 1, TARGETS, SOURCES))
    weights = softmax(scores[:, 0])

    context_BTM, weights_BTS = attend(torch.from_numpy(scores), memory_BSM, MASK)

    np.testing.assert_allclose(weights_BTS.numpy(), weights, atol=1e-12)
    np.testing.assert_allclose(context_BTM.numpy(), weights @ memory_BSM.numpy(), atol=1e-12)


def test_each_head_reads_its_share_of_both_directions():
    _, _, memory_BSM = random_case("dot")
    scores = np.random.default_rng(1).normal(size=(ROWS, 3, TARGETS, SOURCES))

    context_BTM, weights_BTS = attend(torch.from_numpy(scores), memory_BSM, MASK)

    for head, units in enumerate(READ):
        expected = softmax(scores[:, head]) @ memory_BSM.numpy()[..., units]
        np.testing.assert_allclose(context_BTM.numpy()[..., units], expected, atol=1e-12)
    mean = np.mean([softmax(scores[:, head]) for head in range(3)], axis=0)
    np.testing.assert_allclose(weights_BTS.numpy(), mean, atol=1e-12)


@pytest.mark.parametrize("heads", [1, 3])
def test_padding_has_a_weight_of_exactly_zero_whatever_it_scores(heads):
    _, _, memory_BSM = random_case("dot")
    scores_BJTS = torch.zeros(ROWS, heads, TARGETS, SOURCES, dtype=torch.float64)
    scores_BJTS[1, :, :, 2:] = 1e9

    _, weights_BTS = attend(scores_BJTS, memory_BSM, MASK)

    assert weights_BTS[1].tolist() == [[0.5, 0.5, 0.0, 0.0]] * TARGETS


def test_dot_refuses_sizes_that_differ():
    with pytest.raises(ValueError, match=r"decoder_size 6 .* twice encoder_size, 4"):
        build_attention("dot", 6, 4)
