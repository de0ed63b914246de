"""The encoder graph: sentences in; memory, projected keys and the first decoder state out.

Sentences are right padded, and padding has no influence on what comes out for tokens.

Shapes: N sentences, D encoder size of one direction, I inputs of a layer, 2 directions; the
other letters are those of `models/README.md`.

Source: ONNX operators GRU and LSTM, revision 14.
"""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from training.graph_plan import GraphPart
from training.graph_products import Factor
from training.graph_writer import INT32, INT64, GraphWriter

WAYS = ("forward", "backward")


class EncoderGraph(GraphPart, ABC):
    """The sentences once through: memory, projected keys, first decoder state."""

    name = "encoder"

    @property
    def size(self) -> int:
        """D."""
        return int(self.weights["encoder.0.forward.hidden_weight"].shape[1])

    def build(self) -> GraphWriter:
        """Return the finished graph, ready to be written."""
        source_NS = self.graph.input("source_NS", INT64, ["N", "S"])
        lengths_N = self.graph.input("lengths_N", INT32, ["N"])
        memory_NSM, last = self._read(source_NS, lengths_N)
        self._keys(memory_NSM)
        self.graph.output(memory_NSM, self.kind, ["N", "S", self.memory_size])
        self._first_states(last)
        return self.graph

    @abstractmethod
    def _read(self, source_NS: str, lengths_N: str) -> tuple[str, Factor]:
        """Add the layers up to `memory_NSM`; return it and the last outputs."""

    def _keys(self, memory_NSM: str) -> None:
        graph, keys_NSA = self.graph, memory_NSM
        if not self.plan.attends:
            # Nobody reads them, but all graphs have them: as few as can be.
            ends = [graph.integers(0), graph.integers(1), graph.integers(2)]
            keys_NSA = graph.node("Slice", [memory_NSM, *ends], "keys_NSA")
        elif self.plan.attention != "dot":
            memory = self.products.factor(memory_NSM, self.memory_size, self.memory_reach)
            keys_NSA = self.linear("keys", memory, "keys_NSA")
        # As a product with queries reads them: 85 us against 188 for 64 beams of 5 rows.
        graph.node("Transpose", [keys_NSA], "keys_NAS", perm=[0, 2, 1])
        graph.output("keys_NAS", self.kind, ["N", self.key_size, "S"])

    def _first_states(self, last: Factor) -> None:
        graph = self.graph
        for layer in range(self.plan.decoder_layers):
            first = layer * self.plan.states_per_layer
            size = self.state_size(first)
            h_NH = self._first_output(layer, last, f"state_{first}_NH")
            graph.output(h_NH, self.kind, ["N", size])
            for other in range(first + 1, first + self.plan.states_per_layer):
                zero_NH = graph.node("Sub", [h_NH, h_NH], f"state_{other}_NH")
                graph.output(zero_NH, self.kind, ["N", size])
        if self.plan.carries_context:
            name = f"state_{self.plan.num_states - 1}_NH"
            if self.plan.attends:
                self._nothing(self.memory_size, name)
            else:
                graph.node("Identity", [self._summary()], name)
            graph.output(name, self.kind, ["N", self.memory_size])

    def _first_output(self, layer: int, last: Factor, output: str) -> str:
        """Add what a decoder layer starts from."""
        name = f"initial.{layer}"
        if not self.plan.starts_from_source:
            return self._nothing(self.state_size(layer * self.plan.states_per_layer), output)
        return self.graph.node("Tanh", [self.linear(name, last, f"{name}_NH")], output)

    def _nothing(self, size: int, output: str) -> str:
        """Add zeros for each sentence."""
        graph = self.graph
        num_sentences = graph.node("Shape", ["lengths_N"], f"{output}_num_sentences")
        shape = [num_sentences, graph.integers(size)]
        shape_2 = graph.node("Concat", shape, f"{output}_shape", axis=0)
        zero = np.zeros(1, self.weights["output_bias"].dtype)
        return graph.node("ConstantOfShape", [shape_2], output, value=zero)

    @abstractmethod
    def _summary(self) -> str:
        """Return the last outputs of both directions, as they are."""


class OperatorEncoder(EncoderGraph):
    """The layers as the operators GRU or LSTM, which honour the lengths by themselves.

    What lies behind a sentence is zero in the memory, summed and normalised or not.
    """

    def _read(self, source_NS: str, lengths_N: str) -> tuple[str, Factor]:
        graph = self.graph
        source_SN = graph.node("Transpose", [source_NS], "source_SN", perm=[1, 0])
        x_SNI = self.look_up("source_embedding", source_SN, "embedded_SNE").tensor
        total_SNM, top = None, self.plan.encoder_layers - 1
        for layer in range(top + 1):
            y_S2ND, last_2ND = self._layer(layer, x_SNI, lengths_N)
            if layer < top:
                both_SNM = self._join(y_S2ND, f"memory{layer}_SNM", [0, 2, 1, 3])
                total_SNM, x_SNI = self.pass_on(layer, both_SNM, total_SNM, self.memory_size)
        memory_NSM = self._memory(y_S2ND, total_SNM)
        last_N2D = graph.node("Transpose", [last_2ND], "last_N2D", perm=[1, 0, 2])
        last_NM = graph.node("Reshape", [last_N2D, graph.integers(0, -1)], "last_NM")
        return memory_NSM, Factor(last_NM)

    def _summary(self) -> str:
        return "last_NM"

    def _memory(self, y_S2ND: str, below_SNM: str | None) -> str:
        """Add `memory_NSM`: what the top layer passes on.

        Recurrences want positions first; whoever reads the memory wants sentences first. They
        come first before the rest: ONNX Runtime 1.31 crashes when it loads an ensemble in half
        precision whose memories are transposed at last.
        """
        graph, permuted = self.graph, [2, 0, 1, 3]
        if self.plan.is_plain:
            return self._join(y_S2ND, "memory_NSM", permuted)
        below_NSM = None
        if self.plan.residual and below_SNM is not None:
            below_NSM = graph.node("Transpose", [below_SNM], "below_NSM", perm=[1, 0, 2])
        both_NSM = self._join(y_S2ND, "both_NSM", permuted)
        top = self.plan.encoder_layers - 1
        _, read_NSM = self.pass_on(top, both_NSM, below_NSM, self.memory_size)
        return graph.node("Identity", [read_NSM], "memory_NSM")

    def _layer(self, layer: int, x_SNI: str, lengths_N: str) -> tuple[str, str]:
        graph = self.graph
        part = {
            name: np.stack([self._gates(f"encoder.{layer}.{way}.{name}") for way in WAYS])
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
        form = self.plan.form
        if form.peepholes:
            peepholes = [self.weights[f"encoder.{layer}.{way}.peephole"] for way in WAYS]
            no_states = ["", ""]
            inputs += [*no_states, graph.weight(f"encoder.{layer}.peepholes", np.stack(peepholes))]
        # PyTorch's GRU applies the reset gate to the product with the hidden weights.
        is_after = form.operator == "GRU" and not form.resets_before
        variant = {"linear_before_reset": 1} if is_after else {}
        y_S2ND, last_2ND = graph.nodes(
            form.operator or "",
            inputs,
            [f"y{layer}_S2ND", f"last{layer}_2ND"],
            hidden_size=self.size,
            direction="bidirectional",
            **variant,
        )
        return y_S2ND, last_2ND

    def _gates(self, name: str) -> NDArray[np.float32]:
        # PyTorch: reset, update, new and input, forget, cell, output;
        # ONNX: update, reset, new and input, output, forget, cell.
        order = self.plan.form.order
        gates = np.split(self.weights[name], len(order))
        return np.concatenate([gates[i] for i in order])

    def _join(self, y_S2ND: str, name: str, perm: list[int]) -> str:
        both = self.graph.node("Transpose", [y_S2ND], f"{name}_directions", perm=perm)
        return self.graph.node("Reshape", [both, self.graph.integers(0, 0, -1)], name)
