"""The encoder graph: sentences in; memory, projected keys and the first decoder state out.

Sentences are right padded. The recurrences honour `lengths_N`: the backward direction starts
at the last token of each sentence, and what lies behind it is zero in the memory.

Shapes: N sentences, D encoder size of one direction, I inputs of a layer, 2 directions; the
other letters are those of `models/README.md`.

Source: ONNX operators GRU and LSTM, revision 14.
"""

import numpy as np
from numpy.typing import NDArray

from training.graph_plan import GraphPart, Plan, Weights
from training.graph_writer import FLOAT, INT32, INT64, GraphWriter, WeightFile


class EncoderGraph(GraphPart):
    """The sentences once through: memory, projected keys, first decoder state."""

    def __init__(self, plan: Plan, weights: Weights, file: WeightFile) -> None:
        super().__init__("encoder", plan, weights, file)
        self._size = weights["encoder.0.forward.hidden_weight"].shape[1]

    def build(self) -> GraphWriter:
        """Return the finished graph, ready to be written."""
        graph = self.graph
        source_NS = graph.input("source_NS", INT64, ["N", "S"])
        lengths_N = graph.input("lengths_N", INT32, ["N"])
        source_SN = graph.node("Transpose", [source_NS], "source_SN", perm=[1, 0])
        x_SNI = graph.node("Gather", [self.weight("source_embedding"), source_SN], "embedded_SNE")
        for layer in range(self.plan.encoder_layers):
            y_S2ND, last_2ND = self._layer(layer, x_SNI, lengths_N)
            if layer < self.plan.encoder_layers - 1:
                x_SNI = self._join(y_S2ND, f"memory{layer}_SNM", [0, 2, 1, 3])
        # Recurrences want positions first; whoever reads the memory wants sentences first.
        memory_NSM = self._join(y_S2ND, "memory_NSM", [2, 0, 1, 3])
        self._keys(memory_NSM)
        graph.output(memory_NSM, FLOAT, ["N", "S", self.memory_size])
        self._first_states(last_2ND)
        return graph

    def _layer(self, layer: int, x_SNI: str, lengths_N: str) -> tuple[str, str]:
        graph, ways = self.graph, ("forward", "backward")
        part = {
            name: np.stack([self._gates(f"encoder.{layer}.{way}.{name}") for way in ways])
            for name in ("input_weight", "hidden_weight", "input_bias", "hidden_bias")
        }
        inputs = [
            x_SNI,
            graph.weight(f"encoder.{layer}.input_weights", part["input_weight"]),
            graph.weight(f"encoder.{layer}.hidden_weights", part["hidden_weight"]),
            graph.weight(
                f"encoder.{layer}.biases",
                np.concatenate([part["input_bias"], part["hidden_bias"]], axis=1),
            ),
            lengths_N,
        ]
        # PyTorch's GRU applies the reset gate to the product with the hidden weights.
        variant = {"linear_before_reset": 1} if self.plan.cell == "gru" else {}
        y_S2ND, last_2ND = graph.nodes(
            self.plan.cell.upper(),
            inputs,
            [f"y{layer}_S2ND", f"last{layer}_2ND"],
            hidden_size=self._size,
            direction="bidirectional",
            **variant,
        )
        return y_S2ND, last_2ND

    def _gates(self, name: str) -> NDArray[np.float32]:
        # PyTorch: reset, update, new and input, forget, cell, output;
        # ONNX: update, reset, new and input, output, forget, cell.
        order = {"gru": (1, 0, 2), "lstm": (0, 3, 1, 2)}[self.plan.cell]
        gates = np.split(self.weights[name], len(order))
        return np.concatenate([gates[i] for i in order])

    def _join(self, y_S2ND: str, name: str, perm: list[int]) -> str:
        both = self.graph.node("Transpose", [y_S2ND], f"{name}_directions", perm=perm)
        return self.graph.node("Reshape", [both, self.graph.integers(0, 0, -1)], name)

    def _keys(self, memory_NSM: str) -> None:
        graph, keys_NSA = self.graph, memory_NSM
        if self.plan.attention != "dot":
            inputs = [memory_NSM, self.transposed("keys.weight")]
            keys_NSA = graph.node("MatMul", inputs, "keys_product_NSA")
        if self.plan.attention == "additive":
            keys_NSA = graph.node("Add", [keys_NSA, self.weight("keys.bias")], "keys_NSA")
        # As a product with queries reads them: 85 us against 188 for 64 beams of 5 rows.
        graph.node("Transpose", [keys_NSA], "keys_NAS", perm=[0, 2, 1])
        graph.output("keys_NAS", FLOAT, ["N", self.key_size, "S"])

    def _first_states(self, last_2ND: str) -> None:
        graph = self.graph
        last_N2D = graph.node("Transpose", [last_2ND], "last_N2D", perm=[1, 0, 2])
        last_NM = graph.node("Reshape", [last_N2D, graph.integers(0, -1)], "last_NM")
        for layer in range(self.plan.decoder_layers):
            name, state = f"initial.{layer}", layer * self.plan.states_per_layer
            size = self.weights[f"{name}.weight"].shape[0]
            linear_NH = self.linear(name, last_NM, f"{name}_NH")
            h_NH = graph.node("Tanh", [linear_NH], f"state_{state}_NH")
            graph.output(h_NH, FLOAT, ["N", size])
            if self.plan.cell == "lstm":
                shape = graph.node("Shape", [h_NH], f"{name}_shape")
                c_NH = graph.node("ConstantOfShape", [shape], f"state_{state + 1}_NH")
                graph.output(c_NH, FLOAT, ["N", size])
