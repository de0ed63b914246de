"""The ONNX graphs against their equations in float64, on ragged batches and shuffled rows."""

from itertools import product
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from training.graphs import MASKED, Plan, write_graphs

V, E, D, H, A = 11, 6, 4, 5, 7
M = 2 * D
LENGTHS = np.array([3, 1, 5, 2], np.int32)
CELLS, ATTENTIONS = ("gru", "lstm"), ("dot", "general", "additive")
PLANS = [
    Plan(cell, attention, layers, layers)
    for cell, attention, layers in product(CELLS, ATTENTIONS, (1, 2))
] + [Plan("gru", "general", 1, 3)]


def plan_name(plan):
    return f"{plan.cell}-{plan.attention}-{plan.encoder_layers}-{plan.decoder_layers}"


def random_weights(plan, *, seed=0, is_tied=False):
    random = np.random.default_rng(seed)
    hidden = M if plan.attention == "dot" else H
    keys = hidden if plan.attention == "general" else A
    gates = 4 if plan.cell == "lstm" else 3
    shapes = dict.fromkeys(("source_embedding", "target_embedding"), (V, E))
    shapes |= {"output_embedding": (V, E), "output_bias": (V,)}
    layers = {
        f"encoder.{layer}.{way}": (D, E if layer == 0 else M)
        for layer, way in product(range(plan.encoder_layers), ("forward", "backward"))
    }
    for layer in range(plan.decoder_layers):
        layers[f"decoder.{layer}"] = (hidden, E if layer == 0 else hidden + M)
        shapes |= {f"initial.{layer}.weight": (hidden, M), f"initial.{layer}.bias": (hidden,)}
    for name, (size, inputs) in layers.items():
        shapes |= {
            f"{name}.input_weight": (gates * size, inputs),
            f"{name}.hidden_weight": (gates * size, size),
            f"{name}.input_bias": (gates * size,),
            f"{name}.hidden_bias": (gates * size,),
        }
    if plan.attention != "dot":
        shapes["keys.weight"] = (keys, M)
    if plan.attention == "additive":
        shapes |= {"keys.bias": (A,), "query.weight": (A, hidden), "score.weight": (1, A)}
    shapes |= {"readout.weight": (E, hidden + M + E), "readout.bias": (E,)}
    weights = {
        name: random.normal(size=shape, scale=0.7).astype(np.float32)
        for name, shape in shapes.items()
    }
    if is_tied:
        for name in ("source_embedding", "output_embedding"):
            weights[name] = weights["target_embedding"]
    return weights


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Equations:
    """The network for one sentence at a time, as its papers write it, in float64."""

    def __init__(self, plan, weights):
        self.plan = plan
        self.weights = {name: values.astype(np.float64) for name, values in weights.items()}

    def cell(self, name, x, state):
        w = self.weights
        from_x = w[f"{name}.input_weight"] @ x + w[f"{name}.input_bias"]
        from_h = w[f"{name}.hidden_weight"] @ state[0] + w[f"{name}.hidden_bias"]
        if self.plan.cell == "lstm":
            i, f, g, o = np.split(from_x + from_h, 4)
            c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
            return sigmoid(o) * np.tanh(c), c
        (x_r, x_z, x_n), (h_r, h_z, h_n) = np.split(from_x, 3), np.split(from_h, 3)
        z = sigmoid(x_z + h_z)
        return ((1 - z) * np.tanh(x_n + sigmoid(x_r + h_r) * h_n) + z * state[0],)

    def read(self, name, xs):
        state, out = (np.zeros(D), np.zeros(D)), []
        for x in xs:
            state = self.cell(name, x, state)
            out.append(state[0])
        return out

    def encode(self, source):
        """Return keys, memory and the decoder states before the first token."""
        w, xs = self.weights, [self.weights["source_embedding"][id] for id in source]
        for layer in range(self.plan.encoder_layers):
            forward = self.read(f"encoder.{layer}.forward", xs)
            backward = self.read(f"encoder.{layer}.backward", xs[::-1])[::-1]
            xs = [np.concatenate(pair) for pair in zip(forward, backward, strict=True)]
        memory, last = np.stack(xs), np.concatenate([forward[-1], backward[0]])
        keys = memory @ w["keys.weight"].T if "keys.weight" in w else memory
        states = []
        for layer in range(self.plan.decoder_layers):
            h = np.tanh(w[f"initial.{layer}.weight"] @ last + w[f"initial.{layer}.bias"])
            states += [h, np.zeros_like(h)][: self.plan.states_per_layer]
        return keys + w.get("keys.bias", 0.0), memory, states

    def attend(self, query, keys, memory):
        w = self.weights
        if self.plan.attention == "additive":
            scores = np.tanh(w["query.weight"] @ query + keys) @ w["score.weight"][0]
        else:
            scores = keys @ query
        weights = np.exp(scores - scores.max())
        weights /= weights.sum()
        return weights, weights @ memory

    def step(self, token, keys, memory, states):
        """Return log-probabilities of all tokens, attention and the states after `token`."""
        w, each = self.weights, self.plan.states_per_layer
        embedded = w["target_embedding"][token]
        after = [*self.cell("decoder.0", embedded, states[:each])]
        top = after[0]
        attention, context = self.attend(top, keys, memory)
        for layer in range(1, self.plan.decoder_layers):
            mine = states[layer * each : (layer + 1) * each]
            new = self.cell(f"decoder.{layer}", np.concatenate([top, context]), mine)
            after, top = [*after, *new], new[0]
        features = np.concatenate([top, context, embedded])
        readout = np.tanh(w["readout.weight"] @ features + w["readout.bias"])
        logits = w["output_embedding"] @ readout + w["output_bias"]
        return logits - np.log(np.exp(logits).sum()), attention, after


def open_graph(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


class Graphs:
    """Both graphs on ONNX Runtime."""

    def __init__(self, files):
        self.files = files
        self._encoder, self._step = open_graph(files.encoder), open_graph(files.step)
        self.state_names = [
            tensor.name for tensor in self._step.get_inputs() if tensor.name.startswith("state_")
        ]

    def encode(self, source_NS, lengths_N):
        inputs = {"source_NS": source_NS, "lengths_N": lengths_N}
        keys_NAS, memory_NSM, *states = self._encoder.run(None, inputs)
        is_padding_NS = np.arange(source_NS.shape[1]) >= lengths_N[:, None]
        return (keys_NAS, memory_NSM, np.where(is_padding_NS, MASKED, 0).astype("f")), states

    def step(self, memory, states, parents_NK, tokens_NK, candidates=V):
        """Return scores, tokens, attention and the states after, each with rows in one axis."""
        inputs = {"parents_NK": np.array(parents_NK), "tokens_NK": np.array(tokens_NK)}
        inputs |= dict(zip(("keys_NAS", "memory_NSM", "mask_NS"), memory, strict=True))
        inputs |= dict(zip(self.state_names, states, strict=True))
        inputs["candidates"] = np.array([candidates])
        outputs = self._step.run(None, inputs)
        scores_BC, tokens_BC, attention_BS, *after = (x.reshape(-1, x.shape[2]) for x in outputs)
        return scores_BC, tokens_BC, attention_BS, after


def build(plan, weights, folder: Path) -> Graphs:
    return Graphs(write_graphs(plan, weights, folder))


def ragged_batch(lengths_N=LENGTHS, num_positions=None, seed=1):
    """Padding is not zero here: whatever lies there must not matter."""
    random = np.random.default_rng(seed)
    source_NS = random.integers(3, V, (len(lengths_N), num_positions or max(lengths_N)))
    return source_NS, np.array(lengths_N, np.int32)


def by_token(scores_BC, tokens_BC):
    scores_BV = np.empty_like(scores_BC)
    np.put_along_axis(scores_BV, tokens_BC, scores_BC, axis=1)
    return scores_BV


@pytest.mark.parametrize("plan", PLANS, ids=plan_name)
def test_encoder_computes_the_equations_for_every_sentence_of_a_ragged_batch(plan, tmp_path):
    weights = random_weights(plan)
    source_NS, lengths_N = ragged_batch()

    (keys, memory, _), states = build(plan, weights, tmp_path).encode(source_NS, lengths_N)

    for n, length in enumerate(lengths_N):
        expected = Equations(plan, weights).encode(source_NS[n, :length])
        np.testing.assert_allclose(keys[n, :, :length].T, expected[0], atol=2e-6)
        np.testing.assert_allclose(memory[n, :length], expected[1], atol=2e-6)
        np.testing.assert_allclose([state[n] for state in states], expected[2], atol=2e-6)


@pytest.mark.parametrize("plan", PLANS, ids=plan_name)
def test_step_computes_the_equations_for_rows_in_any_order(plan, tmp_path):
    weights = random_weights(plan)
    graphs, equations = build(plan, weights, tmp_path), Equations(plan, weights)
    source_NS, lengths_N = ragged_batch()
    memory, states = graphs.encode(source_NS, lengths_N)
    read = [equations.encode(row[:n]) for row, n in zip(source_NS, lengths_N, strict=True)]
    known = [each[2] for each in read]
    random = np.random.default_rng(2)

    for num_rows in (3, 2, 1):
        parents_NK = random.integers(0, len(known), (len(LENGTHS), num_rows))
        tokens_NK = random.integers(0, V, parents_NK.shape)
        scores_BC, tokens_BC, attention_BS, states = graphs.step(
            memory, states, parents_NK, tokens_NK
        )
        expected = [
            equations.step(tokens_NK[n, k], *read[n][:2], known[parents_NK[n, k]])
            for n, k in np.ndindex(parents_NK.shape)
        ]
        known = [after for _, _, after in expected]

        np.testing.assert_allclose(
            by_token(scores_BC, tokens_BC), [scores for scores, _, _ in expected], atol=5e-6
        )
        for row_S, (_, weights_S, _) in zip(attention_BS, expected, strict=True):
            np.testing.assert_allclose(row_S[: len(weights_S)], weights_S, atol=5e-6)
            assert not row_S[len(weights_S) :].any()
        np.testing.assert_allclose(np.stack(states, axis=1), known, atol=5e-6)


def test_candidates_come_best_first_and_as_many_as_asked(tmp_path):
    plan = PLANS[0]
    graphs = build(plan, random_weights(plan), tmp_path)
    memory, states = graphs.encode(*ragged_batch())
    parents_NK, tokens_NK = [[2], [0], [1], [1]], [[5], [7], [4], [6]]
    all_scores, all_tokens, *_ = graphs.step(memory, states, parents_NK, tokens_NK)

    scores_BC, tokens_BC, *_ = graphs.step(memory, states, parents_NK, tokens_NK, candidates=3)

    np.testing.assert_array_equal(scores_BC, -np.sort(-all_scores)[:, :3])
    np.testing.assert_array_equal(tokens_BC, all_tokens[:, :3])


@pytest.mark.parametrize("plan", PLANS, ids=plan_name)
def test_padding_changes_no_bit_of_what_the_encoder_says(plan, tmp_path):
    graphs = build(plan, random_weights(plan), tmp_path)
    source_NS, lengths_N = ragged_batch()
    padded_NS = np.pad(source_NS, ((0, 0), (0, 6)), constant_values=9)

    (_, short_memory, _), short = graphs.encode(source_NS, lengths_N)
    (_, long_memory, _), long = graphs.encode(padded_NS, lengths_N)

    np.testing.assert_array_equal(short, long)
    np.testing.assert_array_equal(short_memory, long_memory[:, : source_NS.shape[1]])
    assert not long_memory[np.arange(padded_NS.shape[1]) >= lengths_N[:, None]].any()


@pytest.mark.parametrize("plan", PLANS, ids=plan_name)
def test_padding_to_multiples_of_eight_changes_no_bit_of_a_step(plan, tmp_path):
    # The kernels treat the last positions apart when there are not whole groups of them.
    graphs = build(plan, random_weights(plan), tmp_path)
    source_NS, lengths_N = ragged_batch(num_positions=8)
    padded_NS = np.pad(source_NS, ((0, 0), (0, 16)), constant_values=9)
    rows = [[0], [1], [2], [3]], [[4], [5], [6], [7]]

    short = graphs.step(*graphs.encode(source_NS, lengths_N), *rows)
    long = graphs.step(*graphs.encode(padded_NS, lengths_N), *rows)

    np.testing.assert_array_equal(short[0], long[0])
    np.testing.assert_array_equal(short[1], long[1])
    np.testing.assert_array_equal(short[2], long[2][:, :8])
    np.testing.assert_array_equal(short[3], long[3])


@pytest.mark.parametrize("plan", PLANS, ids=plan_name)
def test_company_changes_no_bit(plan, tmp_path):
    graphs = build(plan, random_weights(plan), tmp_path)
    source_NS, lengths_N = ragged_batch(num_positions=8)
    memory, states = graphs.encode(source_NS, lengths_N)
    together = graphs.step(memory, states, [[0], [1], [2], [1]], [[4], [5], [6], [7]])

    mine = graphs.encode(source_NS[2:3], lengths_N[2:3])
    alone = graphs.step(*mine, [[0]], [[6]])

    np.testing.assert_array_equal(mine[1], [state[2:3] for state in states])
    np.testing.assert_array_equal(alone[0][0], together[0][2])
    np.testing.assert_array_equal(alone[1][0], together[1][2])
    np.testing.assert_array_equal(alone[2][0], together[2][2])


def test_attention_gives_padding_no_weight_whatever_lies_there(tmp_path):
    plan = Plan("gru", "general", 1, 1)
    graphs = build(plan, random_weights(plan), tmp_path)
    (keys_NAS, memory_NSM, mask_NS), states = graphs.encode(*ragged_batch())
    rows = [[0], [1], [2], [3]], [[4], [5], [6], [7]]
    is_padding_NS = mask_NS < 0
    dirty_keys_NAS = np.where(is_padding_NS[:, None], np.float32(50), keys_NAS)
    dirty_memory_NSM = np.where(is_padding_NS[..., None], np.float32(50), memory_NSM)

    clean_scores, *_ = graphs.step((keys_NAS, memory_NSM, mask_NS), states, *rows)
    dirty_scores, *_ = graphs.step((dirty_keys_NAS, dirty_memory_NSM, mask_NS), states, *rows)

    np.testing.assert_array_equal(clean_scores, dirty_scores)


def test_step_has_no_recurrent_operator_and_no_control_flow(tmp_path):
    plan = Plan("lstm", "additive", 2, 2)
    files = write_graphs(plan, random_weights(plan), tmp_path)

    kinds = {node.op_type for node in onnx.load(files.step, load_external_data=False).graph.node}

    assert not kinds & {"GRU", "LSTM", "RNN", "Loop", "Scan", "If", "ReduceLogSumExp"}


def test_tied_table_lies_once_in_the_one_weight_file(tmp_path):
    plan = Plan("gru", "dot", 1, 1)
    (tmp_path / "tied").mkdir()
    (tmp_path / "own").mkdir()

    tied = write_graphs(plan, random_weights(plan, is_tied=True), tmp_path / "tied")
    own = write_graphs(plan, random_weights(plan), tmp_path / "own")

    table_bytes = -(-V * E * 4 // 64) * 64
    assert own.weights.stat().st_size - tied.weights.stat().st_size == 2 * table_bytes
    assert {path.name for path in tied.weights.parent.iterdir()} == {
        "encoder.onnx",
        "step.onnx",
        "weights.bin",
    }


def test_same_weights_give_the_same_files(tmp_path):
    plan = Plan("lstm", "general", 1, 2)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        write_graphs(plan, random_weights(plan), tmp_path / name)

    for name in ("encoder.onnx", "step.onnx", "weights.bin"):
        first, second = (tmp_path / run / name for run in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()


def test_graphs_run_from_a_folder_that_nobody_may_write(tmp_path):
    plan = Plan("gru", "additive", 1, 1)
    files = write_graphs(plan, random_weights(plan), tmp_path)
    for path in (files.encoder, files.step, files.weights):
        path.chmod(0o444)
    tmp_path.chmod(0o555)

    _, states = Graphs(files).encode(*ragged_batch())

    assert states[0].shape == (len(LENGTHS), H)
