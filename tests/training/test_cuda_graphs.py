"""The graphs for a GPU, run on the CPU: what they compute is known from the plain step."""

from dataclasses import astuple

import numpy as np
import onnx
import pytest

from tests.training.tiny_graphs import (
    CONTEXTS,
    DEEP_PLANS,
    FORMED,
    PLANS,
    TINY,
    Graphs,
    open_graph,
    plan_name,
    ragged_batch,
    random_weights,
)
from training.graphs import MASKED, write_graphs

POSITIONS = 3
# Half precision: rows are computed one by one here, side by side there.
TOLERANCES = {"fp32": 1e-5, "fp16": 2e-2}
ALL = pytest.mark.parametrize(
    "plan", PLANS + DEEP_PLANS + FORMED[::2] + CONTEXTS[2:], ids=plan_name
)
PRECISIONS = pytest.mark.parametrize("precision", TOLERANCES)


def written(plan, folder, precision="fp32"):
    return write_graphs(plan, random_weights(plan), folder, precision, positions=POSITIONS)


def feed_of(memory, states, suffix):
    feed = dict(zip(("keys_NAS", "memory_NSM", "mask_NS"), memory, strict=True))
    return feed | {f"state_{i}_{suffix}": state for i, state in enumerate(states)}


def run(path, feed):
    session = open_graph(path)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, feed), strict=True))


@PRECISIONS
@ALL
def test_greedy_run_computes_what_repeated_steps_do(plan, precision, tmp_path):
    files = written(plan, tmp_path, precision)
    graphs, tolerance = Graphs(files), TOLERANCES[precision]
    memory, states = graphs.encode(*ragged_batch())
    count = len(states[0])
    tokens_N1 = np.arange(3, 3 + count)[:, None]

    feed = feed_of(memory, [state[:, None] for state in states], "NKH")
    found = run(files.greedy, feed | {"tokens_NK": tokens_N1})

    scores_NU, tokens_NU = np.split(found["chosen_NKX"][:, 0], 2, axis=1)
    for i in range(POSITIONS):
        parents_N1 = np.arange(count)[:, None]
        best = graphs.step(memory, states, parents_N1, tokens_N1, candidates=1)
        scores_N1, tokens_N1, attention_NS, states = best
        assert np.array_equal(tokens_NU[:, i], tokens_N1[:, 0])
        assert np.allclose(scores_NU[:, i], scores_N1[:, 0], atol=tolerance)
        attention_N1S = found[f"position{i}_attention_NKS"]
        assert np.allclose(attention_N1S[:, 0], attention_NS, atol=tolerance)
    for i, state in enumerate(states):
        last = found[f"position{POSITIONS - 1}_next_state_{i}_NKH"]
        assert np.allclose(last[:, 0], state, atol=tolerance)


@PRECISIONS
@ALL
def test_beam_run_computes_one_step_with_all_candidates_of_a_small_vocabulary(
    plan, precision, tmp_path
):
    files = written(plan, tmp_path, precision)
    graphs, tolerance = Graphs(files), TOLERANCES[precision]
    memory, states = graphs.encode(*ragged_batch())
    parents_NK = np.array([[0, 0], [1, 1], [2, 2], [3, 3]])
    tokens_NK = np.arange(3, 11).reshape(4, 2)

    feed = feed_of(memory, states, "PH") | {"tokens_NK": tokens_NK, "parents_NK": parents_NK}
    found = run(files.beam, feed)

    scores_BC, tokens_BC, attention_BS, after = graphs.step(memory, states, parents_NK, tokens_NK)
    chosen_BX = found["chosen_NKX"].reshape(8, 2 * TINY.V)
    assert np.array_equal(chosen_BX[:, TINY.V :], tokens_BC)
    assert np.allclose(chosen_BX[:, : TINY.V], scores_BC, atol=tolerance)
    assert np.allclose(found["attention_NKS"].reshape(8, -1), attention_BS, atol=tolerance)
    for i, state_BH in enumerate(after):
        next_NKH = found[f"next_state_{i}_NKH"]
        assert np.allclose(next_NKH.reshape(state_BH.shape), state_BH, atol=tolerance)


@pytest.mark.parametrize("source_positions", [2, 5], ids=["filled", "cut"])
def test_joined_sentences_sit_at_their_places_and_nothing_else_has_changed(
    source_positions, tmp_path
):
    plan = PLANS[0]
    files, random = written(plan, tmp_path), np.random.default_rng(0)
    size = 2 * TINY.D
    into = {
        "keys_NAS": random.random((4, size, 3), np.float32),
        "memory_NSM": random.random((4, 3, size), np.float32),
        "mask_NS": random.random((4, 3), np.float32),
        "state_0_PH": random.random((8, size), np.float32),
    }
    source = {
        "keys_NAS": random.random((3, size, source_positions), np.float32),
        "memory_NSM": random.random((3, source_positions, size), np.float32),
        "mask_NS": random.random((3, source_positions), np.float32),
        "state_0_PH": random.random((3, size), np.float32),
    }
    missing, kept = max(0, 3 - source_positions), min(3, source_positions)
    feed = {f"into_{name}": values for name, values in into.items()}
    feed |= {f"from_{name}": values for name, values in source.items()}
    feed |= {
        "sentences_J": np.array([2, 0]),
        "places_J1": np.array([[1], [3]]),
        "rows_R": np.array([2, 0]),
        "row_places_R1": np.array([[2], [6]]),
        "positions_1": np.array([3]),
        "padding_keys_NAS": np.array([0, 0, 0, 0, 0, missing]),
        "padding_memory_NSM": np.array([0, 0, 0, 0, missing, 0]),
        "padding_mask_NS": np.array([0, 0, 0, missing]),
    }

    found = run(files.join, feed)

    expected = {name: values.copy() for name, values in into.items()}
    for sentence, place in ((2, 1), (0, 3)):
        expected["keys_NAS"][place] = 0
        expected["keys_NAS"][place, :, :kept] = source["keys_NAS"][sentence, :, :kept]
        expected["memory_NSM"][place] = 0
        expected["memory_NSM"][place, :kept] = source["memory_NSM"][sentence, :kept]
        expected["mask_NS"][place] = MASKED
        expected["mask_NS"][place, :kept] = source["mask_NS"][sentence, :kept]
        expected["state_0_PH"][2 * place] = source["state_0_PH"][sentence]
    for name, values in expected.items():
        assert np.array_equal(found[f"joined_{name}"], values)


@PRECISIONS
@ALL
def test_runs_that_are_captured_read_nothing_from_the_host(plan, precision, tmp_path):
    files = written(plan, tmp_path, precision)

    for path in (files.greedy, files.beam):
        nodes = onnx.load(path, load_external_data=False).graph.node
        forbidden = {"Shape", "Range", "ConstantOfShape", "Loop", "Scan", "If", "GRU", "LSTM"}
        assert {node.op_type for node in nodes} & forbidden == set()


def test_graphs_for_a_gpu_add_no_weights(tmp_path):
    plan = PLANS[0]
    plain, more = tmp_path / "plain", tmp_path / "more"
    plain.mkdir()
    more.mkdir()
    write_graphs(plan, random_weights(plan), plain)
    files = written(plan, more)

    assert files.weights.read_bytes() == (plain / "weights.bin").read_bytes()
    assert {path.name for path in astuple(files) if path} == {path.name for path in more.iterdir()}


def test_positions_share_what_is_computed_of_weights_alone(tmp_path):
    plan = PLANS[0]

    def count_transposed(positions):
        folder = tmp_path / str(positions)
        folder.mkdir()
        files = write_graphs(plan, random_weights(plan), folder, positions=positions)
        nodes = onnx.load(files.greedy, load_external_data=False).graph.node
        return sum(node.op_type == "Transpose" for node in nodes)

    assert count_transposed(4) == count_transposed(1) > 0
