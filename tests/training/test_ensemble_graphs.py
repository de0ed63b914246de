"""Graphs of several networks against those of each, whose probabilities are averaged here."""

from dataclasses import replace

import numpy as np
import pytest

from tests.training.tiny_graphs import (
    CONTEXTS,
    DEEP_PLANS,
    TINY,
    Graphs,
    build,
    open_graph,
    ragged_batch,
    random_weights,
)
from training.graph_reader import read_weights
from training.graphs import Plan, write_ensemble

GRU = Plan("gru", "general", 1, 2)
LSTM = Plan("lstm", "additive", 2, 1)
HEADED = replace(LSTM, attention_heads=2)
DOT = Plan("gru", "dot", 1, 1)
TEAMS = {
    "alike": [(GRU, TINY), (GRU, TINY)],
    "of deep and plain ones": [(DEEP_PLANS[-1], TINY), (DEEP_PLANS[-2], TINY), (GRU, TINY)],
    "of two kinds": [(GRU, TINY), (HEADED, replace(TINY, D=6, H=7, A=4, E=5))],
    "that hand contexts on": [(CONTEXTS[2], TINY), (CONTEXTS[5], TINY), (GRU, TINY)],
    "of three": [
        (HEADED, replace(TINY, A=8)),
        (replace(LSTM, attention_heads=4), replace(TINY, A=8)),
        (DOT, TINY),
    ],
}
EVERY_TEAM = pytest.mark.parametrize("team", TEAMS.values(), ids=TEAMS)
TOLERANCES = {"fp32": 1e-5, "fp16": 2e-2, "int8": 1e-5}
PARENTS = [[[0, 0], [1, 1], [2, 2], [3, 3]], [[1, 0], [2, 3], [5, 5], [7, 6]]]
TOKENS = np.random.default_rng(5).integers(3, TINY.V, (2, 4, 2))


def members_of(team):
    return [
        (plan, random_weights(plan, seed=seed, sizes=sizes))
        for seed, (plan, sizes) in enumerate(team)
    ]


def decode(graphs):
    """Return log-probabilities by token and attention of two steps, rows in one axis."""
    memory, states = graphs.encode(*ragged_batch())
    steps = []
    for parents_NK, tokens_NK in zip(PARENTS, TOKENS, strict=True):
        scores_BC, tokens_BC, attention_BS, states = graphs.step(
            memory, states, parents_NK, tokens_NK
        )
        by_token_BV = np.empty_like(scores_BC)
        np.put_along_axis(by_token_BV, tokens_BC, scores_BC, axis=1)
        steps.append((by_token_BV, attention_BS))
    return steps


@pytest.mark.parametrize("precision", TOLERANCES)
@EVERY_TEAM
def test_probabilities_and_attention_are_the_means_of_the_members(team, precision, tmp_path):
    members, folders = members_of(team), [tmp_path / str(i) for i in range(len(team))]
    for folder in folders:
        folder.mkdir()
    alone = [
        decode(build(*member, folder, precision))
        for member, folder in zip(members, folders, strict=True)
    ]

    together = decode(Graphs(write_ensemble(members, tmp_path, precision)))

    for (log_BV, attention_BS), *parts in zip(together, *alone, strict=True):
        mean_BV = np.mean([np.exp(part) for part, _ in parts], axis=0)
        mean_BS = np.mean([weights.astype(np.float32) for _, weights in parts], axis=0)
        np.testing.assert_allclose(log_BV, np.log(mean_BV), atol=TOLERANCES[precision])
        np.testing.assert_allclose(attention_BS, mean_BS, atol=TOLERANCES[precision])


def test_equal_members_share_their_weights_and_decide_as_one(tmp_path):
    member = GRU, random_weights(GRU)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one = build(*member, tmp_path / "one")

    two = Graphs(write_ensemble([member, member], tmp_path / "two"))

    assert two.files.weights.stat().st_size == one.files.weights.stat().st_size
    for (log_BV, _), (expected_BV, _) in zip(decode(two), decode(one), strict=True):
        np.testing.assert_allclose(log_BV, expected_BV, atol=1e-6)


@EVERY_TEAM
def test_graphs_for_a_gpu_follow_the_step(team, tmp_path):
    files = write_ensemble(members_of(team), tmp_path, positions=2)
    graphs = Graphs(files)
    memory, states = graphs.encode(*ragged_batch())
    feed = dict(zip(("keys_NAS", "memory_NSM", "mask_NS"), memory, strict=True))
    feed |= {f"state_{i}_NKH": state[:, None] for i, state in enumerate(states)}
    tokens_N1 = np.arange(3, 7)[:, None]
    session = open_graph(files.greedy)

    (chosen_NKX,) = session.run(["chosen_NKX"], feed | {"tokens_NK": tokens_N1})

    for i in range(2):
        parents_N1 = np.arange(4)[:, None]
        scores_N1, tokens_N1, _, states = graphs.step(memory, states, parents_N1, tokens_N1, 1)
        np.testing.assert_allclose(chosen_NKX[:, 0, [i]], scores_N1, atol=1e-5)
        assert np.array_equal(chosen_NKX[:, 0, [2 + i]], tokens_N1)


def test_weights_of_an_ensemble_are_not_those_of_a_network(tmp_path):
    files = write_ensemble(members_of(TEAMS["alike"]), tmp_path)

    with pytest.raises(ValueError, match="the graphs lack"):
        read_weights(GRU, files)
