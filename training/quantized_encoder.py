"""The encoder in integers: each direction of a layer is a loop over positions.

There is no integer GRU among the operators. A loop around integer products takes 0.64 ms for
one sentence of 16 tokens and 8.7 ms for 64 of them, the operator in single precision 0.74 and
23.7 (two layers of 256, one core). A loop for each direction is as fast as one for both.

    ids ----------------> rows -> products of all positions -> loop -> forward outputs
    ids, turned round --> rows -> products of all positions -> loop -> backward outputs

The backward direction reads each sentence turned round within its own length. So padding
comes last for both directions, and what the loops make of it is read by nobody.

Shapes: N sentences, D encoder size of one direction; the other letters are those of
`models/README.md`.
"""

import numpy as np

from training.encoder_graph import WAYS, EncoderGraph
from training.graph_cells import Cell
from training.graph_products import Factor
from training.graph_writer import FLOAT, INT64, UINT8
from training.quantize import ZERO, rounded_factor


class QuantizedEncoder(EncoderGraph):
    """The layers as loops. The memory of padding is finite, but not zero."""

    def _read(self, source_NS: str, lengths_N: str) -> tuple[Factor, Factor]:
        graph = self.graph
        self._start(lengths_N)
        source_SN = graph.node("Transpose", [source_NS], "source_SN", perm=[1, 0])
        sources = zip((source_SN, self._turn(source_SN)), WAYS, strict=True)
        xs = [
            self.look_up("source_embedding", ids_SN, f"embedded_{way}_SNE")
            for ids_SN, way in sources
        ]
        for layer in range(self.plan.encoder_layers):
            cells = [self.cell(f"encoder.{layer}.{way}") for way in WAYS]
            is_top = layer == self.plan.encoder_layers - 1
            outputs = [self._loop(cell, x, is_top) for cell, x in zip(cells, xs, strict=True)]
            turned = [Factor(self._turn(each.tensor), each.steps) for each in outputs]
            xs = [
                self.products.join([outputs[0], turned[1]], f"rounded{layer}_SNM"),
                self.products.join([turned[0], outputs[1]], f"turned{layer}_SNM"),
            ]
        memory = self._memory(cells, xs[0])
        last = [
            Factor(graph.node("Gather", [each.tensor, "first"], f"last_{way}_ND"), each.steps)
            for each, way in zip(turned, WAYS, strict=True)
        ]
        return memory, self.products.join(last, "rounded_last_NM")

    def _start(self, lengths_N: str) -> None:
        """Add what all loops need: how to turn sentences, and what they begin with."""
        graph = self.graph
        graph.constant("first", np.array(0))
        graph.node("Cast", [lengths_N], "turn_N", to=INT64)
        num_sentences = graph.node("Shape", [lengths_N], "num_sentences")
        shape = graph.node("Concat", [num_sentences, graph.integers(self.size)], "shape", axis=0)
        graph.node("ConstantOfShape", [shape], "zeros_ND")
        zero = np.array([ZERO], np.uint8)
        graph.node("ConstantOfShape", [shape], "rounded_zeros_ND", value=zero)

    def _turn(self, x_SN: str) -> str:
        """Turn each sentence round within its length; its padding stays where it is."""
        inputs, axes = [x_SN, "turn_N"], {"time_axis": 0, "batch_axis": 1}
        return self.graph.node("ReverseSequence", inputs, f"turned_{x_SN}", **axes)

    def _loop(self, cell: Cell, x: Factor, is_top: bool) -> Factor:
        """Add the loop of one direction; return its outputs at all positions, as a factor.

        Lower layers collect them rounded, for nobody reads them otherwise.
        """
        name, shape = cell.name, ("N", self.size)
        projected = cell.project(self.products, x)
        body = self.graph.body(f"{name}.body")
        products = self.arithmetic(body)
        # What the next position needs besides h rounded: h itself of a GRU, c of an LSTM.
        carried_ND = body.input(f"{name}.carried_ND", FLOAT, shape)
        rounded_ND = body.input(f"{name}.rounded_ND", UINT8, shape)
        inputs = [body.input(f"{each}_here", FLOAT, ["N", "G"]) for each in projected]
        h = rounded_factor(rounded_ND, self.size)
        outputs = [f"{name}.next_{state}_ND" for state in cell.states]
        cell.continue_from(products, inputs, h, carried_ND, outputs)
        h = products.factor(outputs[0], self.size)
        body.output(outputs[-1], FLOAT, shape)
        body.output(h.tensor, UINT8, shape)
        # What is carried on and collected too needs two names.
        collected, kind = (outputs[0], FLOAT) if is_top else (h.tensor, UINT8)
        body.output(body.node("Identity", [collected], f"{name}.collected_ND"), kind, shape)
        self.graph.nodes(
            "Scan",
            ["zeros_ND", "rounded_zeros_ND", *projected],
            [f"{name}.{what}" for what in ("last_ND", "last_rounded_ND", "all_SND")],
            body=body.finish_body(),
            num_scan_inputs=len(projected),
        )
        every = f"{name}.all_SND"
        if is_top:
            return self.products.factor(every, self.size)
        return rounded_factor(every, self.size)

    def _memory(self, cells: list[Cell], rounded: Factor) -> Factor:
        """Add the memory of the top layer's cells; return it as a factor."""
        graph, (forward_SND, backward_SND) = self.graph, (f"{cell.name}.all_SND" for cell in cells)
        both = [forward_SND, self._turn(backward_SND)]
        memory_SNM = graph.node("Concat", both, "memory_SNM", axis=2)
        graph.node("Transpose", [memory_SNM], "memory_NSM", perm=[1, 0, 2])
        rounded_NSM = graph.node("Transpose", [rounded.tensor], "rounded_NSM", perm=[1, 0, 2])
        return Factor(rounded_NSM, rounded.steps)
