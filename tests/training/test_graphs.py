"""The ONNX graphs against their equations in float64, on ragged batches and shuffled rows."""

from itertools import product

import numpy as np
import onnx
import pytest

from tests.training.tiny_graphs import (
    CONTEXTS,
    DEEP_PLANS,
    FORMED,
    LENGTHS,
    PLANS,
    TINY,
    Graphs,
    build,
    plan_name,
    ragged_batch,
    random_weights,
)
from training.graphs import Plan, write_graphs

V, E, D, H = TINY.V, TINY.E, TINY.D, TINY.H

# The worst difference and the mean one. In integers an activation is off by half a step of
# 1/127, a weight by half of one in 127 or 64.
TOLERANCES = {"fp32": (5e-6, 2e-6), "fp16": (2e-2, 2e-3), "int8": (0.3, 0.05)}
NORMALISED = 3.0
"""What is normalised is divided by the deviation of a few units, and its faults with it."""
SKIPPING = 1.5
"""Two recurrent matrices bring faults, about the square root of two as many."""
ALL = pytest.mark.parametrize(
    ("precision", "plan"),
    [
        (precision, plan)
        for precision, plan in product(TOLERANCES, PLANS + DEEP_PLANS + FORMED + CONTEXTS)
        if precision != "int8" or plan.form.is_bounded
        if precision != "fp16" or plan.form.runs_on_gpu
    ],
    ids=lambda value: value if isinstance(value, str) else plan_name(value),
)


def tolerance_of(precision, plan):
    factor = NORMALISED if plan.layer_norm else SKIPPING if plan.form.is_delayed else 1
    return [factor * tolerance for tolerance in TOLERANCES[precision]]


def assert_close(actual, expected, tolerance):
    difference = np.abs(np.asarray(actual, np.float64) - expected)
    assert difference.max() <= tolerance[0]
    assert difference.mean() <= tolerance[1]


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
        form = self.plan.form
        if form.operator == "LSTM":
            i, f, g, o = np.split(from_x + from_h, 4)
            p_i, p_o, p_f = np.split(w[f"{name}.peephole"], 3) if form.peepholes else (0, 0, 0)
            c = sigmoid(f + p_f * state[1]) * state[1] + sigmoid(i + p_i * state[1]) * np.tanh(g)
            return sigmoid(o + p_o * c) * np.tanh(c), c
        if form.gates == ("n",) and not form.is_delayed:
            total = from_x + from_h
            return (np.tanh(total) if form.activation == "Tanh" else np.maximum(total, 0),)
        if form.is_delayed:
            long_ago = w[f"{name}.delayed_weight"] @ state[-1]
            return np.tanh(from_x + from_h + long_ago), *state[:-1]
        (x_r, x_z, x_n), (h_r, h_z, h_n) = np.split(from_x, 3), np.split(from_h, 3)
        z = sigmoid(x_z + h_z)
        if form.resets_before:
            weight, bias = (w[f"{name}.hidden_{each}"] for each in ("weight", "bias"))
            reset = sigmoid(x_r + h_r) * state[0]
            n = np.tanh(x_n + weight[2 * len(reset) :] @ reset + bias[2 * len(reset) :])
            return ((1 - z) * n + z * state[0],)
        return ((1 - z) * np.tanh(x_n + sigmoid(x_r + h_r) * h_n) + z * state[0],)

    def read(self, name, xs):
        state, out = (np.zeros(D),) * max(2, self.plan.states_per_layer), []
        for x in xs:
            state = self.cell(name, x, state)
            out.append(state[0])
        return out

    def pass_on(self, out, below):
        """Return the sum for the layer above, and what is read of it."""
        total = out + below if self.plan.residual else out
        if not self.plan.layer_norm:
            return total, total
        centred = total - total.mean(-1, keepdims=True)
        return total, centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)

    def encode(self, source):
        """Return keys, memory and the decoder states before the first token."""
        w, xs = self.weights, [self.weights["source_embedding"][id] for id in source]
        total = 0.0
        for layer in range(self.plan.encoder_layers):
            forward = self.read(f"encoder.{layer}.forward", xs)
            backward = self.read(f"encoder.{layer}.backward", xs[::-1])[::-1]
            total, xs = self.pass_on(np.concatenate([forward, backward], axis=1), total)
        memory, last = xs, np.concatenate([forward[-1], backward[0]])
        keys = memory @ w["keys.weight"].T if "keys.weight" in w else memory
        if not self.plan.attends:
            keys = memory[:, :1]  # nobody compares them
        states = []
        for layer in range(self.plan.decoder_layers):
            h = np.zeros(len(w[f"decoder.{layer}.hidden_weight"].T))
            if self.plan.starts_from_source:
                h = np.tanh(w[f"initial.{layer}.weight"] @ last + w[f"initial.{layer}.bias"])
            states += [h, *([np.zeros_like(h)] * (self.plan.states_per_layer - 1))]
        if self.plan.input_feeding:
            states.append(np.zeros_like(last))
        elif not self.plan.attends and self.plan.summary != "state":
            states.append(last)
        return keys + w.get("keys.bias", 0.0), memory, states

    def attend(self, query, keys, memory):
        """Return the mean of the heads' weights and the context."""
        w, compared, weights, context = self.weights, np.arange(keys.shape[1]), [], np.empty(2 * D)
        if not self.plan.attends:
            return np.full(len(memory), 1 / len(memory)), None
        for head in range(self.plan.attention_heads):
            # an equal share of each direction; of what is compared, one behind the other
            read = np.nonzero(np.arange(2 * D) % D * self.plan.attention_heads // D == head)[0]
            mine = np.split(compared, self.plan.attention_heads)[head]
            if self.plan.attention == "additive":
                hidden = np.tanh(w["query.weight"] @ query + keys)
                scores = hidden[:, mine] @ w["score.weight"][0, mine]
            else:
                scores = keys[:, mine] @ query[mine]
            powers = np.exp(scores - scores.max())
            weights.append(powers / powers.sum())
            context[read] = weights[-1] @ memory[:, read]
        return np.mean(weights, axis=0), context

    def step(self, token, keys, memory, states):
        """Return log-probabilities of all tokens, attention and the states after `token`."""
        w, each = self.weights, self.plan.states_per_layer
        embedded = w["target_embedding"][token]
        handed_on = states[self.plan.decoder_layers * each :]
        x = np.concatenate([embedded, *handed_on])
        after = [*self.cell("decoder.0", x, states[:each])]
        attention, context = self.attend(after[0], keys, memory)
        read = handed_on if context is None else [context]
        total, top = self.pass_on(after[0], 0.0)
        for layer in range(1, self.plan.decoder_layers):
            mine = states[layer * each : (layer + 1) * each]
            reads = layer == 1 or self.plan.context == "every"
            x = np.concatenate([top, *read]) if reads else top
            new = self.cell(f"decoder.{layer}", x, mine)
            after = [*after, *new]
            total, top = self.pass_on(new[0], total)
        after += read if handed_on else []
        features = np.concatenate([top, *read, embedded])
        readout = np.tanh(w["readout.weight"] @ features + w["readout.bias"])
        logits = w["output_embedding"] @ readout + w["output_bias"]
        return logits - np.log(np.exp(logits).sum()), attention, after


def by_token(scores_BC, tokens_BC):
    scores_BV = np.empty_like(scores_BC)
    np.put_along_axis(scores_BV, tokens_BC, scores_BC, axis=1)
    return scores_BV


@ALL
def test_encoder_computes_the_equations_for_every_sentence_of_a_ragged_batch(
    precision, plan, tmp_path
):
    weights, tolerance = random_weights(plan), tolerance_of(precision, plan)
    source_NS, lengths_N = ragged_batch()

    (keys, memory, _), states = build(plan, weights, tmp_path, precision).encode(
        source_NS, lengths_N
    )

    for n, length in enumerate(lengths_N):
        expected = Equations(plan, weights).encode(source_NS[n, :length])
        assert_close(keys[n, :, :length].T, expected[0], tolerance)
        assert_close(memory[n, :length], expected[1], tolerance)
        for state, wanted in zip(states, expected[2], strict=True):
            assert_close(state[n], wanted, tolerance)


@ALL
def test_step_computes_the_equations_for_rows_in_any_order(precision, plan, tmp_path):
    weights, tolerance = random_weights(plan), tolerance_of(precision, plan)
    graphs, equations = build(plan, weights, tmp_path, precision), Equations(plan, weights)
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

        assert_close(
            by_token(scores_BC, tokens_BC), [scores for scores, _, _ in expected], tolerance
        )
        for row_S, (_, weights_S, _) in zip(attention_BS, expected, strict=True):
            assert_close(row_S[: len(weights_S)], weights_S, tolerance)
            assert not row_S[len(weights_S) :].any()
        for state_BH, wanted in zip(states, zip(*known, strict=True), strict=True):
            assert_close(state_BH, np.array(wanted), tolerance)


def test_candidates_come_best_first_and_as_many_as_asked(tmp_path):
    plan = PLANS[0]
    graphs = build(plan, random_weights(plan), tmp_path)
    memory, states = graphs.encode(*ragged_batch())
    parents_NK, tokens_NK = [[2], [0], [1], [1]], [[5], [7], [4], [6]]
    all_scores, all_tokens, *_ = graphs.step(memory, states, parents_NK, tokens_NK)

    scores_BC, tokens_BC, *_ = graphs.step(memory, states, parents_NK, tokens_NK, candidates=3)

    np.testing.assert_array_equal(scores_BC, -np.sort(-all_scores)[:, :3])
    np.testing.assert_array_equal(tokens_BC, all_tokens[:, :3])


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


def tensors_read(graph):
    """Return what the nodes of a graph and of the loops in it read."""
    for node in graph.node:
        yield from node.input
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from tensors_read(attribute.g)
                yield from (output.name for output in attribute.g.output)


@ALL
def test_nothing_is_computed_that_nobody_reads(precision, plan, tmp_path):
    files = write_graphs(plan, random_weights(plan), tmp_path, precision)

    for path in (files.encoder, files.step):
        graph = onnx.load(path, load_external_data=False).graph
        read = {*tensors_read(graph), *(output.name for output in graph.output)}
        assert [node.name for node in graph.node if read.isdisjoint(node.output)] == []


def signature(path):
    graph = onnx.load(path, load_external_data=False).graph
    return {
        value.name: onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type)
        for value in [*graph.input, *graph.output]
    }


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_all_precisions_have_the_same_tensors(precision, tmp_path):
    plan = Plan("lstm", "additive", 2, 2)
    for name in ("fp32", precision):
        (tmp_path / name).mkdir()
        write_graphs(plan, random_weights(plan), tmp_path / name, name)

    for graph in ("encoder.onnx", "step.onnx"):
        expected = signature(tmp_path / "fp32" / graph)
        if precision == "fp16":
            expected = {
                name: "FLOAT16" if kind == "FLOAT" and name != "scores_NKC" else kind
                for name, kind in expected.items()
            }
        assert signature(tmp_path / precision / graph) == expected


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_floating_point_needs_standard_operators_only(precision, tmp_path):
    plan = Plan("gru", "additive", 1, 2)
    files = write_graphs(plan, random_weights(plan), tmp_path, precision)

    for path in (files.encoder, files.step):
        opsets = onnx.load(path, load_external_data=False).opset_import
        assert [(opset.domain, opset.version) for opset in opsets] == [("", 17)]


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
