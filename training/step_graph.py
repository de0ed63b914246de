"""The decoder step as a graph: one more target position for all rows at once.

    states of the parents -> layer 0 -> attention -> upper layers -> readout -> best tokens

Rows come as a grid, K for each of N sentences, so that attention needs no copy of a
sentence's memory for each row. Neither GRU nor LSTM nor control flow occurs: the cells are
products and elementwise operators, so that the graph can be quantised and captured as one
CUDA graph.

Shapes: N sentences, K rows of each, P rows of the step before, C candidates, F features of
the readout, I inputs of a layer; the other letters are those of `models/README.md`.
"""

from training.graph_plan import GraphPart, Plan, Weights
from training.graph_writer import FLOAT, INT64, GraphWriter, WeightFile


class StepGraph(GraphPart):
    """One target position of all rows: new states, attention, the best next tokens."""

    def __init__(self, plan: Plan, weights: Weights, file: WeightFile) -> None:
        super().__init__("step", plan, weights, file)
        self._size = weights["decoder.0.hidden_weight"].shape[1]

    def build(self) -> GraphWriter:
        """Return the finished graph, ready to be written."""
        graph = self.graph
        tokens_NK = graph.input("tokens_NK", INT64, ["N", "K"])
        parents_NK = graph.input("parents_NK", INT64, ["N", "K"])
        graph.input("candidates", INT64, [1])
        states = self._states(parents_NK)
        embedded_NKE = graph.node(
            "Gather", [self.weight("target_embedding"), tokens_NK], "embedded_NKE"
        )
        top_NKH = self._cell(0, embedded_NKE, states)
        context_NKM = self._attend(top_NKH)
        for layer in range(1, self.plan.decoder_layers):
            x_NKI = graph.node("Concat", [top_NKH, context_NKM], f"x{layer}_NKI", axis=2)
            top_NKH = self._cell(layer, x_NKI, states)
        self._choose([top_NKH, context_NKM, embedded_NKE])
        graph.output("attention_NKS", FLOAT, ["N", "K", "S"])
        for i in range(self.plan.num_states):
            graph.output(f"next_state_{i}_NKH", FLOAT, ["N", "K", self._size])
        return graph

    def _states(self, parents_NK: str) -> list[str]:
        graph, names = self.graph, [f"state_{i}" for i in range(self.plan.num_states)]
        for name in names:
            graph.input(f"{name}_PH", FLOAT, ["P", self._size])
        return [
            graph.node("Gather", [f"{name}_PH", parents_NK], f"parent_{name}_NKH") for name in names
        ]

    def _cell(self, layer: int, x_NKI: str, states: list[str]) -> str:
        first = layer * self.plan.states_per_layer
        mine = states[first : first + self.plan.states_per_layer]
        if self.plan.cell == "gru":
            return self._gru(f"decoder.{layer}", x_NKI, mine[0], f"next_state_{first}_NKH")
        names = (f"next_state_{first}_NKH", f"next_state_{first + 1}_NKH")
        return self._lstm(f"decoder.{layer}", x_NKI, (mine[0], mine[1]), names)

    def _gru(self, name: str, x_NKI: str, h_NKH: str, output: str) -> str:
        graph, size = self.graph, self._size
        sizes = graph.integers(2 * size, size)
        both: list[list[str]] = []
        for side, x in (("input", x_NKI), ("hidden", h_NKH)):
            parts = (f"{side}_weight", f"{side}_bias")
            gates_NKG = self.linear(name, x, f"{name}.{side}_NKG", parts)
            outputs = [f"{name}.{side}_reset_update", f"{name}.{side}_new_NKH"]
            both.append(graph.nodes("Split", [gates_NKG, sizes], outputs, axis=2))
        (input_rz, input_n), (hidden_rz, hidden_n) = both
        linear = graph.node("Add", [input_rz, hidden_rz], f"{name}.linear_reset_update")
        gates = graph.node("Sigmoid", [linear], f"{name}.reset_update")
        r_NKH, z_NKH = graph.nodes(
            "Split", [gates, graph.integers(size, size)], [f"{name}.r_NKH", f"{name}.z_NKH"], axis=2
        )
        kept_NKH = graph.node("Mul", [r_NKH, hidden_n], f"{name}.kept_NKH")
        linear_NKH = graph.node("Add", [input_n, kept_NKH], f"{name}.linear_new_NKH")
        n_NKH = graph.node("Tanh", [linear_NKH], f"{name}.n_NKH")
        # h' = (1 - z) n + z h with one product less
        change_NKH = graph.node("Sub", [h_NKH, n_NKH], f"{name}.change_NKH")
        share_NKH = graph.node("Mul", [z_NKH, change_NKH], f"{name}.share_NKH")
        return graph.node("Add", [n_NKH, share_NKH], output)

    def _lstm(self, name: str, x_NKI: str, state: tuple[str, str], outputs: tuple[str, str]) -> str:
        graph, (h_NKH, c_NKH) = self.graph, state
        biases = [self.weights[f"{name}.{side}_bias"] for side in ("input", "hidden")]
        bias_G = graph.weight(f"{name}.bias", biases[0] + biases[1])
        inputs = [x_NKI, self.transposed(f"{name}.input_weight")]
        from_input_NKG = graph.node("MatMul", inputs, f"{name}.input_NKG")
        inputs = [h_NKH, self.transposed(f"{name}.hidden_weight")]
        from_hidden_NKG = graph.node("MatMul", inputs, f"{name}.hidden_NKG")
        sum_NKG = graph.node("Add", [from_input_NKG, from_hidden_NKG], f"{name}.sum_NKG")
        gates_NKG = graph.node("Add", [sum_NKG, bias_G], f"{name}.gates_NKG")
        names = [f"{name}.linear_{gate}_NKH" for gate in "ifgo"]
        i, f, g, o = graph.nodes("Split", [gates_NKG], names, axis=2)
        i, f, o = (graph.node("Sigmoid", [gate], gate.replace("linear_", "")) for gate in (i, f, o))
        g = graph.node("Tanh", [g], f"{name}.g_NKH")
        kept_NKH = graph.node("Mul", [f, c_NKH], f"{name}.kept_NKH")
        added_NKH = graph.node("Mul", [i, g], f"{name}.added_NKH")
        next_c_NKH = graph.node("Add", [kept_NKH, added_NKH], outputs[1])
        bounded_NKH = graph.node("Tanh", [next_c_NKH], f"{name}.bounded_NKH")
        return graph.node("Mul", [o, bounded_NKH], outputs[0])

    def _attend(self, query_NKH: str) -> str:
        graph = self.graph
        keys_NAS = graph.input("keys_NAS", FLOAT, ["N", self.key_size, "S"])
        memory_NSM = graph.input("memory_NSM", FLOAT, ["N", "S", self.memory_size])
        mask_NS = graph.input("mask_NS", FLOAT, ["N", "S"])
        mask_N1S = graph.node("Unsqueeze", [mask_NS, graph.integers(1)], "mask_N1S")
        scores_NKS = self._attention_scores(query_NKH, keys_NAS)
        masked_NKS = graph.node("Add", [scores_NKS, mask_N1S], "masked_scores_NKS")
        weights_NKS = graph.node("Softmax", [masked_NKS], "attention_NKS", axis=2)
        return graph.node("MatMul", [weights_NKS, memory_NSM], "context_NKM")

    def _attention_scores(self, query_NKH: str, keys_NAS: str) -> str:
        graph = self.graph
        if self.plan.attention != "additive":
            return graph.node("MatMul", [query_NKH, keys_NAS], "scores_NKS")
        query_NKA = graph.node("MatMul", [query_NKH, self.transposed("query.weight")], "query_NKA")
        query_NKA1 = graph.node("Unsqueeze", [query_NKA, graph.integers(3)], "query_NKA1")
        keys_N1AS = graph.node("Unsqueeze", [keys_NAS, graph.integers(1)], "keys_N1AS")
        sum_NKAS = graph.node("Add", [query_NKA1, keys_N1AS], "sum_NKAS")
        hidden_NKAS = graph.node("Tanh", [sum_NKAS], "hidden_NKAS")
        inputs = [self.weight("score.weight"), hidden_NKAS]
        scores_NK1S = graph.node("MatMul", inputs, "scores_NK1S")
        return graph.node("Squeeze", [scores_NK1S, graph.integers(2)], "scores_NKS")

    def _choose(self, features: list[str]) -> None:
        graph = self.graph
        features_NKF = graph.node("Concat", features, "features_NKF", axis=2)
        linear_NKE = self.linear("readout", features_NKF, "readout_linear_NKE")
        readout_NKE = graph.node("Tanh", [linear_NKE], "readout_NKE")
        # Transposed by the runtime when it loads: a tied table lies in the file once.
        table = self.weight("output_embedding")
        table_EV = graph.node("Transpose", [table], "output_embedding_EV", perm=[1, 0])
        product_NKV = graph.node("MatMul", [readout_NKE, table_EV], "product_NKV")
        logits_NKV = graph.node("Add", [product_NKV, self.weight("output_bias")], "logits_NKV")
        log_probabilities_NKV = graph.node(
            "LogSoftmax", [logits_NKV], "log_probabilities_NKV", axis=2
        )
        graph.nodes(
            "TopK", [log_probabilities_NKV, "candidates"], ["scores_NKC", "tokens_NKC"], axis=2
        )
        graph.output("scores_NKC", FLOAT, ["N", "K", "C"])
        graph.output("tokens_NKC", INT64, ["N", "K", "C"])
