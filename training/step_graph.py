"""The decoder step as a graph: one more target position for all rows at once.

    states of the parents -> layer 0 -> attention -> upper layers -> readout -> best tokens

Rows come as a grid, K for each of N sentences, so that attention needs no copy of a
sentence's memory for each row. Neither GRU nor LSTM nor control flow occurs: the cells are
products and elementwise operators, so that the graph can be quantised and captured as one
CUDA graph.

Shapes: N sentences, K rows of each, P rows of the step before, C candidates, F features of
the readout, I inputs of a layer, J heads, A = J x Q x R, X = K x J, Y blocks of U units; the
other letters are those of `models/README.md`.
"""

import numpy as np

from training.encoder_graph import WAYS
from training.graph_plan import GraphPart
from training.graph_products import Factor, Matrix
from training.graph_writer import FLOAT, INT64, GraphWriter

OUTPUT_NKH = "next_state_0_NKH"
"""What layer 0 says: the query of attention."""
MAX_SUMMANDS = 128
"""Longer sums are divided by the CPU's kernels in ways that depend on S, in MLAS from 33
positions on; then padding would change the last bit. Sums of this length are left whole."""


class StepGraph(GraphPart):
    """One target position of all rows: new states, attention, the best next tokens."""

    name = "step"

    @property
    def size(self) -> int:
        """H."""
        return int(self.weights["decoder.0.hidden_weight"].shape[1])

    def build(self) -> GraphWriter:
        """Return the finished graph, ready to be written."""
        graph, products = self.graph, self.products
        self._declared: set[str] = set()
        tokens_NK = graph.input("tokens_NK", INT64, ["N", "K"])
        graph.input("parents_NK", INT64, ["N", "K"])
        graph.input("candidates", INT64, [1])
        embedded = self.look_up("target_embedding", tokens_NK, "embedded_NKE")
        before_NKM, x = self._handed_on(embedded)
        h_NKH = self._layer(0, x)
        context = self._context(h_NKH, before_NKM)
        total_NKH, top = self._pass_on(0, h_NKH, None)
        for layer in range(1, self.plan.decoder_layers):
            if self.plan.reads_context(layer):
                top = products.join([top, *context], f"x{layer}_NKI")
            h_NKH = self._layer(layer, top)
            total_NKH, top = self._pass_on(layer, h_NKH, total_NKH)
        self._choose(self._score([top, *context, embedded]))
        graph.output("scores_NKC", FLOAT, ["N", "K", "C"])
        graph.output("tokens_NKC", INT64, ["N", "K", "C"])
        graph.output("attention_NKS", self.kind, ["N", "K", "S"])
        for i in range(self.plan.num_states):
            graph.output(f"next_state_{i}_NKH", self.kind, ["N", "K", self.state_size(i)])
        return graph

    def _handed_on(self, embedded: Factor) -> tuple[str | None, Factor]:
        """Return the context that is handed on, if one is, and what layer 0 reads."""
        if not self.plan.carries_context:
            return None, embedded
        # It is read first, but is the last of the states, by whose order they are told apart.
        for state in range(self.plan.num_states):
            self._declare(state)
        context_NKM = self._parents(self.plan.num_states - 1)
        context = self.products.factor(context_NKM, self.memory_size, self.context_reach)
        return context_NKM, self.products.join([embedded, context], "x0_NKI")

    def _context(self, h_NKH: str, before_NKM: str | None) -> list[Factor]:
        """Return what is read of the source, if anything is, and hand it on."""
        if self.plan.attends:
            context_NKM: str | None = self._attend(self._query(h_NKH))
        else:
            self._attend_to_all(h_NKH)
            context_NKM = before_NKM
        if context_NKM is None:
            return []
        if self.plan.carries_context:
            after = f"next_state_{self.plan.num_states - 1}_NKH"
            self.graph.node("Identity", [context_NKM], after)
        return [self.products.factor(context_NKM, self.memory_size, self.context_reach)]

    def _layer(self, layer: int, x: Factor) -> str:
        """Add a layer's step; return its output, `next_state_...`."""
        cell = self.cell(f"decoder.{layer}")
        first = layer * self.plan.states_per_layer
        states = range(first, first + self.plan.states_per_layer)
        before = [self._parents(state) for state in states]
        h = self.products.factor(before[0], self.size)
        outputs = [f"next_state_{state}_NKH" for state in states]
        cell.step(self.products, x, h, [before[i] for i in cell.carries], outputs)
        return outputs[0]

    def _pass_on(self, layer: int, h_NKH: str, below_NKH: str | None) -> tuple[str, Factor]:
        """Add what a layer passes on; return the sum for the layer above, and what is read."""
        total_NKH, read_NKH = self.pass_on(layer, h_NKH, below_NKH, self.size)
        return total_NKH, self.products.factor(read_NKH, self.size, self.plan.reach(layer))

    def _query(self, h_NKH: str) -> Factor:
        """Return what layer 0 says, as it is, as a factor where attention multiplies it."""
        if self.plan.attention == "additive":
            return self.products.factor(h_NKH, self.size)
        return Factor(h_NKH)

    def _parents(self, state: int) -> str:
        return self.graph.node(
            "Gather", [self._declare(state), "parents_NK"], f"parent_state_{state}_NKH"
        )

    def _declare(self, state: int) -> str:
        """Declare a state as an input, once."""
        name = f"state_{state}_PH"
        if name not in self._declared:
            self._declared.add(name)
            self.graph.input(name, self.kind, ["P", self.state_size(state)])
        return name

    def _memory(self) -> tuple[str, str, str]:
        """Declare what attention reads: keys, memory and mask."""
        graph = self.graph
        keys_NAS = graph.input("keys_NAS", self.kind, ["N", self.key_size, "S"])
        memory_NSM = graph.input("memory_NSM", self.kind, ["N", "S", self.memory_size])
        return keys_NAS, memory_NSM, graph.input("mask_NS", self.kind, ["N", "S"])

    def _attend_to_all(self, h_NKH: str) -> None:
        """Add equal weights for all tokens, for who reads along: there is no attention."""
        graph, (*_, mask_NS) = self.graph, self._memory()
        mask_N1S = graph.node("Unsqueeze", [mask_NS, graph.integers(1)], "mask_N1S")
        # Nothing, for each row: a shape would be read by the host, which no captured run may ask.
        ends = [graph.integers(0), graph.integers(1), graph.integers(2)]
        first_NK1 = graph.node("Slice", [h_NKH, *ends], "first_NK1")
        nothing_NK1 = graph.node("Sub", [first_NK1, first_NK1], "nothing_NK1")
        masked_NKS = graph.node("Add", [nothing_NK1, mask_N1S], "masked_scores_NKS")
        graph.node("Softmax", [masked_NKS], "attention_NKS", axis=2)

    def _attend(self, query: Factor) -> str:
        graph, (keys_NAS, memory_NSM, mask_NS) = self.graph, self._memory()
        if self.plan.attention_heads > 1:
            weights_NKJS = self._weigh_by_heads(self._compare_by_heads(query, keys_NAS), mask_NS)
            return self._read_shares(weights_NKJS, memory_NSM)
        mask_N1S = graph.node("Unsqueeze", [mask_NS, graph.integers(1)], "mask_N1S")
        scores_NKS = self._compare(query, keys_NAS)
        masked_NKS = graph.node("Add", [scores_NKS, mask_N1S], "masked_scores_NKS")
        weights_NKS = graph.node("Softmax", [masked_NKS], "attention_NKS", axis=2)
        return graph.node("MatMul", [weights_NKS, memory_NSM], "context_NKM")

    def _compare(self, query: Factor, keys_NAS: str) -> str:
        """Add how well each query fits each key."""
        graph, (groups, size) = self.graph, self._groups(self.key_size)
        if self.plan.attention == "additive":
            scores_NKQ1S, axes = self._compare_sums(query, keys_NAS), graph.integers(2, 3)
            return graph.node("ReduceSum", [scores_NKQ1S, axes], "scores_NKS", keepdims=0)
        if groups == 1:
            return graph.node("MatMul", [OUTPUT_NKH, keys_NAS], "scores_NKS")
        shape = graph.integers(0, 0, groups, size)
        queries_NKQR = graph.node("Reshape", [OUTPUT_NKH, shape], "queries_NKQR")
        queries_NQKR = graph.node("Transpose", [queries_NKQR], "queries_NQKR", perm=[0, 2, 1, 3])
        shape = graph.integers(0, groups, size, -1)
        keys_NQRS = graph.node("Reshape", [keys_NAS, shape], "keys_NQRS")
        scores_NQKS = graph.node("MatMul", [queries_NQKR, keys_NQRS], "scores_NQKS")
        axes = graph.integers(1)
        return graph.node("ReduceSum", [scores_NQKS, axes], "scores_NKS", keepdims=0)

    def _compare_sums(self, query: Factor, keys_NAS: str) -> str:
        """Add the parts of the sums of additive attention; Q counts those of all heads."""
        graph, heads = self.graph, self.plan.attention_heads
        groups, size = self._groups(self.key_size // heads)
        groups *= heads
        query_NKA = self.linear("query", query, "query_NKA")
        query_NKA1 = graph.node("Unsqueeze", [query_NKA, graph.integers(3)], "query_NKA1")
        keys_N1AS = graph.node("Unsqueeze", [keys_NAS, graph.integers(1)], "keys_N1AS")
        sum_NKAS = graph.node("Add", [query_NKA1, keys_N1AS], "sum_NKAS")
        hidden_NKAS = graph.node("Tanh", [sum_NKAS], "hidden_NKAS")
        shape = graph.integers(0, 0, groups, size, -1)
        hidden_NKQRS = graph.node("Reshape", [hidden_NKAS, shape], "hidden_NKQRS")
        score_Q1R = self.weights["score.weight"].reshape(groups, 1, size)
        inputs = [graph.weight("score.weight", score_Q1R), hidden_NKQRS]
        return graph.node("MatMul", inputs, "scores_NKQ1S")

    def _compare_by_heads(self, query: Factor, keys_NAS: str) -> str:
        """Add how well each query fits each key, in the share of each head."""
        graph, heads = self.graph, self.plan.attention_heads
        if self.plan.attention != "additive":
            return self._compare_products_by_heads(keys_NAS)
        groups, _ = self._groups(self.key_size // heads)
        parts_NKQ1S = self._compare_sums(query, keys_NAS)
        shape = graph.integers(0, 0, heads, groups, -1)
        parts_NKJQS = graph.node("Reshape", [parts_NKQ1S, shape], "scores_NKJQS")
        return self._add_up(parts_NKJQS, 3, groups, "scores_NKJS")

    def _compare_products_by_heads(self, keys_NAS: str) -> str:
        graph, heads = self.graph, self.plan.attention_heads
        groups, size = self._groups(self.key_size // heads)
        shape = graph.integers(0, 0, heads, groups, size)
        queries_NKJQR = graph.node("Reshape", [OUTPUT_NKH, shape], "queries_NKJQR")
        perm = [0, 2, 3, 1, 4]
        queries_NJQKR = graph.node("Transpose", [queries_NKJQR], "queries_NJQKR", perm=perm)
        shape = graph.integers(0, heads, groups, size, -1)
        keys_NJQRS = graph.node("Reshape", [keys_NAS, shape], "keys_NJQRS")
        parts_NJQKS = graph.node("MatMul", [queries_NJQKR, keys_NJQRS], "scores_NJQKS")
        scores_NJKS = self._add_up(parts_NJQKS, 2, groups, "scores_NJKS")
        return graph.node("Transpose", [scores_NJKS], "scores_NKJS", perm=[0, 2, 1, 3])

    def _add_up(self, parts: str, axis: int, count: int, output: str) -> str:
        """Add the sum over an axis of so many parts.

        One part is no sum: a GPU would ask cuDNN for it, which decoding does without.
        """
        axes = self.graph.integers(axis)
        if count == 1:
            return self.graph.node("Squeeze", [parts, axes], output)
        return self.graph.node("ReduceSum", [parts, axes], output, keepdims=0)

    def _weigh_by_heads(self, scores_NKJS: str, mask_NS: str) -> str:
        """Add the weights of all heads and, for who reads along, their mean."""
        graph, heads = self.graph, self.plan.attention_heads
        mask_N11S = graph.node("Unsqueeze", [mask_NS, graph.integers(1, 2)], "mask_N11S")
        masked_NKJS = graph.node("Add", [scores_NKJS, mask_N11S], "masked_scores_NKJS")
        weights_NKJS = graph.node("Softmax", [masked_NKJS], "weights_NKJS", axis=3)
        # As a product, for a GPU would ask cuDNN for the mean over this axis.
        number = self.weights["output_bias"].dtype
        mean_1J = graph.constant("mean_1J", np.full((1, heads), 1 / heads, number))
        mean_NK1S = graph.node("MatMul", [mean_1J, weights_NKJS], "attention_NK1S")
        graph.node("Squeeze", [mean_NK1S, graph.integers(2)], "attention_NKS")
        return weights_NKJS

    def _read_shares(self, weights_NKJS: str, memory_NSM: str) -> str:
        """Add the context: each head's share of what it would read of the whole memory.

        So the memory is read in one product for all heads. It would have to be copied, head by
        head, if they were to read no more than their shares.
        """
        graph, heads = self.graph, self.plan.attention_heads
        # So that K and J become one axis though S is not known.
        weights_NSKJ = graph.node("Transpose", [weights_NKJS], "weights_NSKJ", perm=[0, 3, 1, 2])
        shape = graph.integers(0, 0, -1)
        weights_NSX = graph.node("Reshape", [weights_NSKJ, shape], "weights_NSX")
        weights_NXS = graph.node("Transpose", [weights_NSX], "weights_NXS", perm=[0, 2, 1])
        read_NXM = graph.node("MatMul", [weights_NXS, memory_NSM], "read_NXM")
        # For each head, in each direction, what it read of all shares.
        blocks, ways = heads * len(WAYS) * heads, range(len(WAYS))
        shape = graph.integers(0, -1, blocks, self.memory_size // (len(WAYS) * heads))
        blocks_NKYU = graph.node("Reshape", [read_NXM, shape], "blocks_NKYU")
        mine = [(head * len(WAYS) + way) * heads + head for way in ways for head in range(heads)]
        shares = graph.node("Gather", [blocks_NKYU, graph.integers(*mine)], "shares_NKYU", axis=2)
        shape = graph.integers(0, 0, self.memory_size)
        return graph.node("Reshape", [shares, shape], "context_NKM")

    def _groups(self, summands: int) -> tuple[int, int]:
        """Return into how many sums to divide one, and the summands of each.

        Half precision is for the GPU, which has no such rule.
        """
        if self.kind != FLOAT:
            return 1, summands
        size = next(n for n in range(MAX_SUMMANDS, 0, -1) if summands % n == 0)
        return summands // size, size

    def _score(self, features: list[Factor]) -> str:
        """Add the readout and return the log-probabilities of all tokens."""
        graph, products = self.graph, self.products
        linear_NKE = self.linear("readout", products.join(features, "features_NKF"), "linear_NKE")
        readout_NKE = graph.node("Tanh", [linear_NKE], "readout_NKE")
        size = self.weights["output_embedding"].shape[1]
        logits_NKV = self._logits(products.factor(readout_NKE, size))
        if self.kind != FLOAT:
            logits_NKV = graph.node("Cast", [logits_NKV], "single_logits_NKV", to=FLOAT)
        return graph.node("LogSoftmax", [logits_NKV], "log_probabilities_NKV", axis=-1)

    def _logits(self, readout: Factor) -> str:
        """Add the product with the output layer."""
        table_VE, bias_V = self.weights["output_embedding"], self.weights["output_bias"]
        return self.products.multiply(readout, Matrix("output", table_VE, bias_V), "logits_NKV")

    def _choose(self, log_probabilities_NKV: str) -> None:
        """Add `scores_NKC` and `tokens_NKC`, the best first."""
        inputs, outputs = [log_probabilities_NKV, "candidates"], ["scores_NKC", "tokens_NKC"]
        self.graph.nodes("TopK", inputs, outputs, axis=-1)
