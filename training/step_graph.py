"""The decoder step as a graph: one more target position for all rows at once.

    states of the parents -> layer 0 -> attention -> upper layers -> readout -> best tokens

Neither GRU nor LSTM nor control flow occurs: the cells are products and elementwise
operators, so that the graph can be quantised and captured as one CUDA graph.

Shapes: N sentences, B rows, P rows of the step before, C candidates, F features of the
readout, I inputs of a layer; the other letters are those of `models/README.md`.
"""

import numpy as np

from training.graph_plan import GraphPart, Plan, Weights
from training.graph_writer import FLOAT, INT32, INT64, GraphWriter, WeightFile

MASKED = np.float32(-1e4)
"""Attention score of padding: its weight underflows to exactly zero, in half precision too."""


class StepGraph(GraphPart):
    """One target position of all rows: new states, attention, the best next tokens."""

    def __init__(self, plan: Plan, weights: Weights, file: WeightFile) -> None:
        super().__init__("step", plan, weights, file)
        self._size = weights["decoder.0.hidden_weight"].shape[1]

    def build(self) -> GraphWriter:
        """Return the finished graph, ready to be written."""
        graph = self.graph
        tokens_B = graph.input("tokens_B", INT64, ["B"])
        parents_B = graph.input("parents_B", INT64, ["B"])
        sentences_B = graph.input("sentences_B", INT64, ["B"])
        graph.input("candidates", INT64, [1])
        keys_BSA, memory_BSM, mask_BS = self._memory(sentences_B)
        states = self._states(parents_B)
        embedded_BE = graph.node(
            "Gather", [self.weight("target_embedding"), tokens_B], "embedded_BE"
        )
        top_BH = self._cell(0, embedded_BE, states)
        scores_BS1 = self._attention_scores(top_BH, keys_BSA)
        context_BM = self._context(scores_BS1, memory_BSM, mask_BS)
        for layer in range(1, self.plan.decoder_layers):
            x_BI = graph.node("Concat", [top_BH, context_BM], f"x{layer}_BI", axis=1)
            top_BH = self._cell(layer, x_BI, states)
        self._choose([top_BH, context_BM, embedded_BE])
        for i in range(self.plan.num_states):
            graph.output(f"next_state_{i}_BH", FLOAT, ["B", self._size])
        return graph

    def _memory(self, sentences_B: str) -> tuple[str, str, str]:
        graph = self.graph
        keys_NSA = graph.input("keys_NSA", FLOAT, ["N", "S", self.key_size])
        memory_NSM = graph.input("memory_NSM", FLOAT, ["N", "S", self.memory_size])
        lengths_N = graph.input("lengths_N", INT32, ["N"])
        keys_BSA = graph.node("Gather", [keys_NSA, sentences_B], "keys_BSA")
        memory_BSM = graph.node("Gather", [memory_NSM, sentences_B], "memory_BSM")
        lengths_B = graph.node("Gather", [lengths_N, sentences_B], "lengths_B")
        lengths_B1 = graph.node("Unsqueeze", [lengths_B, graph.integers(1)], "lengths_B1")
        size_1 = graph.node("Shape", [memory_NSM], "num_positions_1", start=1, end=2)
        size = graph.node("Squeeze", [size_1], "num_positions")
        size_int32 = graph.node("Cast", [size], "num_positions_int32", to=INT32)
        zero, one = (graph.constant(f"int32_{i}", np.array(i, np.int32)) for i in (0, 1))
        positions_S = graph.node("Range", [zero, size_int32, one], "positions_S")
        mask_BS = graph.node("Less", [positions_S, lengths_B1], "mask_BS")
        return keys_BSA, memory_BSM, mask_BS

    def _states(self, parents_B: str) -> list[str]:
        graph, names = self.graph, [f"state_{i}" for i in range(self.plan.num_states)]
        for name in names:
            graph.input(f"{name}_BH", FLOAT, ["P", self._size])
        return [
            graph.node("Gather", [f"{name}_BH", parents_B], f"parent_{name}_BH") for name in names
        ]

    def _cell(self, layer: int, x_BI: str, states: list[str]) -> str:
        first = layer * self.plan.states_per_layer
        mine = states[first : first + self.plan.states_per_layer]
        if self.plan.cell == "gru":
            return self._gru(f"decoder.{layer}", x_BI, mine[0], f"next_state_{first}_BH")
        names = (f"next_state_{first}_BH", f"next_state_{first + 1}_BH")
        return self._lstm(f"decoder.{layer}", x_BI, (mine[0], mine[1]), names)

    def _gru(self, name: str, x_BI: str, h_BH: str, output: str) -> str:
        graph, size = self.graph, self._size
        sizes = graph.integers(2 * size, size)
        both: list[list[str]] = []
        for side, x in (("input", x_BI), ("hidden", h_BH)):
            parts = (f"{side}_weight", f"{side}_bias")
            gates_BG = self.linear(name, x, f"{name}.{side}_BG", parts)
            outputs = [f"{name}.{side}_reset_update", f"{name}.{side}_new_BH"]
            both.append(graph.nodes("Split", [gates_BG, sizes], outputs, axis=1))
        (input_rz, input_n), (hidden_rz, hidden_n) = both
        linear = graph.node("Add", [input_rz, hidden_rz], f"{name}.linear_reset_update")
        gates = graph.node("Sigmoid", [linear], f"{name}.reset_update")
        r_BH, z_BH = graph.nodes(
            "Split", [gates, graph.integers(size, size)], [f"{name}.r_BH", f"{name}.z_BH"], axis=1
        )
        kept_BH = graph.node("Mul", [r_BH, hidden_n], f"{name}.kept_BH")
        linear_BH = graph.node("Add", [input_n, kept_BH], f"{name}.linear_new_BH")
        n_BH = graph.node("Tanh", [linear_BH], f"{name}.n_BH")
        # h' = (1 - z) n + z h with one product less
        change_BH = graph.node("Sub", [h_BH, n_BH], f"{name}.change_BH")
        share_BH = graph.node("Mul", [z_BH, change_BH], f"{name}.share_BH")
        return graph.node("Add", [n_BH, share_BH], output)

    def _lstm(self, name: str, x_BI: str, state: tuple[str, str], outputs: tuple[str, str]) -> str:
        graph, (h_BH, c_BH) = self.graph, state
        biases = [self.weights[f"{name}.{side}_bias"] for side in ("input", "hidden")]
        bias_G = graph.weight(f"{name}.bias", biases[0] + biases[1])
        inputs = [x_BI, self.transposed(f"{name}.input_weight"), bias_G]
        from_input_BG = graph.node("Gemm", inputs, f"{name}.input_BG")
        inputs = [h_BH, self.transposed(f"{name}.hidden_weight"), from_input_BG]
        gates_BG = graph.node("Gemm", inputs, f"{name}.gates_BG")
        names = [f"{name}.linear_{gate}_BH" for gate in "ifgo"]
        i, f, g, o = graph.nodes("Split", [gates_BG], names, axis=1)
        i, f, o = (graph.node("Sigmoid", [gate], gate.replace("linear_", "")) for gate in (i, f, o))
        g = graph.node("Tanh", [g], f"{name}.g_BH")
        kept_BH = graph.node("Mul", [f, c_BH], f"{name}.kept_BH")
        added_BH = graph.node("Mul", [i, g], f"{name}.added_BH")
        next_c_BH = graph.node("Add", [kept_BH, added_BH], outputs[1])
        bounded_BH = graph.node("Tanh", [next_c_BH], f"{name}.bounded_BH")
        return graph.node("Mul", [o, bounded_BH], outputs[0])

    def _attention_scores(self, query_BH: str, keys_BSA: str) -> str:
        graph = self.graph
        if self.plan.attention != "additive":
            query_BH1 = graph.node("Unsqueeze", [query_BH, graph.integers(2)], "query_BH1")
            return graph.node("MatMul", [keys_BSA, query_BH1], "attention_scores_BS1")
        query_BA = graph.node("MatMul", [query_BH, self.transposed("query.weight")], "query_BA")
        query_B1A = graph.node("Unsqueeze", [query_BA, graph.integers(1)], "query_B1A")
        sum_BSA = graph.node("Add", [keys_BSA, query_B1A], "sum_BSA")
        hidden_BSA = graph.node("Tanh", [sum_BSA], "hidden_BSA")
        score_A1 = self.transposed("score.weight")
        return graph.node("MatMul", [hidden_BSA, score_A1], "attention_scores_BS1")

    def _context(self, scores_BS1: str, memory_BSM: str, mask_BS: str) -> str:
        graph = self.graph
        scores_BS = graph.node("Squeeze", [scores_BS1, graph.integers(2)], "attention_scores_BS")
        masked = graph.constant("masked", np.array(MASKED))
        scores_BS = graph.node("Where", [mask_BS, scores_BS, masked], "masked_scores_BS")
        weights_BS = graph.node("Softmax", [scores_BS], "attention_BS", axis=1)
        weights_B1S = graph.node("Unsqueeze", [weights_BS, graph.integers(1)], "attention_B1S")
        context_B1M = graph.node("MatMul", [weights_B1S, memory_BSM], "context_B1M")
        return graph.node("Squeeze", [context_B1M, graph.integers(1)], "context_BM")

    def _choose(self, features: list[str]) -> None:
        graph = self.graph
        features_BF = graph.node("Concat", features, "features_BF", axis=1)
        linear_BE = self.linear("readout", features_BF, "readout_linear_BE")
        readout_BE = graph.node("Tanh", [linear_BE], "readout_BE")
        # Not stored transposed: a tied table serves the Gather of the embedding as it is.
        inputs = [readout_BE, self.weight("output_embedding"), self.weight("output_bias")]
        logits_BV = graph.node("Gemm", inputs, "logits_BV", transB=1)
        log_probabilities_BV = graph.node("LogSoftmax", [logits_BV], "log_probabilities_BV", axis=1)
        graph.nodes(
            "TopK", [log_probabilities_BV, "candidates"], ["scores_BC", "tokens_BC"], axis=1
        )
        graph.output("scores_BC", FLOAT, ["B", "C"])
        graph.output("tokens_BC", INT64, ["B", "C"])
