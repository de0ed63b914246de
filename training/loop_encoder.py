"""The encoder as loops: each direction of a layer is one over positions.

For cells that are no operator, and for integers, of which there is no recurrence among the
operators. A loop for each direction is as fast as one for both.

    ids ----------------> rows -> products of all positions -> loop -> forward outputs
    ids, turned round --> rows -> products of all positions -> loop -> backward outputs

The backward direction reads each sentence turned round within its own length. So padding
comes last for both directions, and what the loops make of it is read by nobody.

Shapes: N sentences, D encoder size of one direction; the other letters are those of
`models/README.md`.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from training.encoder_graph import WAYS, EncoderGraph
from training.graph_cell import Cell
from training.graph_products import Factor
from training.graph_writer import INT64, UINT8, GraphWriter
from training.quantize import ZERO, rounded_factor


class LoopEncoder(EncoderGraph):
    """The layers as loops. The memory of padding is finite, but not zero."""

    rounds = False
    """Whether outputs are carried as integers too, which products read."""

    def _read(self, source_NS: str, lengths_N: str) -> tuple[str, Factor]:
        graph = self.graph
        self._start(lengths_N)
        source_SN = graph.node("Transpose", [source_NS], "source_SN", perm=[1, 0])
        sources = zip((source_SN, self._turn(source_SN)), WAYS, strict=True)
        xs = [
            self.look_up("source_embedding", ids_SN, f"embedded_{way}_SNE")
            for ids_SN, way in sources
        ]
        top, total_SNM = self.plan.encoder_layers - 1, None
        for layer in range(top + 1):
            is_rounded = self.rounds and layer < top and self.plan.is_plain
            cells = [self.cell(f"encoder.{layer}.{way}") for way in WAYS]
            forward_SND, backward_SND = (
                self._loop(cell, x, is_rounded) for cell, x in zip(cells, xs, strict=True)
            )
            turned_SND = self._turn(backward_SND)
            both = [forward_SND, turned_SND]
            read_SNM = graph.node("Concat", both, f"memory{layer}_SNM", axis=2)
            if not is_rounded:
                total_SNM, read_SNM = self.pass_on(layer, read_SNM, total_SNM, self.memory_size)
            if layer < top:
                xs = self._both_ways(layer, read_SNM, is_rounded)
        memory_NSM = graph.node("Transpose", [read_SNM], "memory_NSM", perm=[1, 0, 2])
        return memory_NSM, self._last([self._turn(forward_SND), turned_SND])

    def _start(self, lengths_N: str) -> None:
        """Add what all loops need: how to turn sentences, and what they begin with."""
        graph = self.graph
        graph.constant("first", np.array(0))
        graph.node("Cast", [lengths_N], "turn_N", to=INT64)
        num_sentences = graph.node("Shape", [lengths_N], "num_sentences")
        shape = graph.node("Concat", [num_sentences, graph.integers(self.size)], "shape", axis=0)
        number = self.weights["output_bias"].dtype
        is_single = number == np.float32
        nothing = {} if is_single else {"value": np.zeros(1, number)}
        if not self.rounds or self.cell(f"encoder.0.{WAYS[0]}").carries:
            graph.node("ConstantOfShape", [shape], "zeros_ND", **nothing)
        if self.rounds:
            zero = np.array([ZERO], np.uint8)
            graph.node("ConstantOfShape", [shape], "rounded_zeros_ND", value=zero)

    def _turn(self, x_SN: str) -> str:
        """Turn each sentence round within its length; its padding stays where it is."""
        inputs, axes = [x_SN, "turn_N"], {"time_axis": 0, "batch_axis": 1}
        return self.graph.node("ReverseSequence", inputs, f"turned_{x_SN}", **axes)

    def _loop(self, cell: Cell, x: Factor, is_rounded: bool) -> str:
        """Add the loop of one direction; return its outputs at all positions.

        Args:
            is_rounded: collect them rounded, if nobody reads them otherwise.
        """
        name, shape = cell.name, ("N", self.size)
        projected = cell.project(self.products, x)
        body = self.graph.body(f"{name}.body")
        products = self.arithmetic(body)
        after = [f"{name}.next_{state}_ND" for state in cell.state_names]
        kept = cell.carries if self.rounds else tuple(sorted({0, *cell.carries}))
        carried = {
            place: body.input(_numbered(name, "carried", i), self.kind, shape)
            for i, place in enumerate(kept)
        }
        h = self._hidden(body, name, carried)
        inputs = [body.input(f"{each}_here", self.kind, ["N", "G"]) for each in projected]
        cell.continue_from(products, inputs, h, [carried[i] for i in cell.carries], after)
        h = products.factor(after[0], self.size)
        for place in kept:
            body.output(after[place], self.kind, shape)
        if self.rounds:
            body.output(h.tensor, UINT8, shape)
        # What is carried on and collected too needs two names.
        collected, kind = (h.tensor, UINT8) if is_rounded else (after[0], self.kind)
        body.output(body.node("Identity", [collected], f"{name}.collected_ND"), kind, shape)
        rounded = ["last_rounded_ND"] * self.rounds
        self.graph.nodes(
            "Scan",
            ["zeros_ND"] * len(kept) + ["rounded_zeros_ND"] * self.rounds + projected,
            [_numbered(name, "last", i) for i in range(len(kept))]
            + [f"{name}.{what}" for what in (*rounded, "all_SND")],
            body=body.finish_body(),
            num_scan_inputs=len(projected),
        )
        return f"{name}.all_SND"

    def _hidden(self, body: GraphWriter, name: str, carried: Mapping[int, str]) -> Factor:
        """Return the output before as products read it."""
        if not self.rounds:
            return Factor(carried[0])
        rounded_ND = body.input(f"{name}.rounded_ND", UINT8, ("N", self.size))
        return rounded_factor(rounded_ND, self.size)

    def _both_ways(self, layer: int, read_SNM: str, is_rounded: bool) -> list[Factor]:
        """Add what the two directions of the next layer read of a layer."""
        if is_rounded:
            read = rounded_factor(read_SNM, self.memory_size)
        else:
            read = self.products.factor(read_SNM, self.memory_size, self.plan.reach(layer))
        return [read, Factor(self._turn(read.tensor), read.steps)]

    def _summary(self) -> str:
        last = [f"last_{way}_ND" for way in WAYS]
        return self.graph.node("Concat", last, "summary_NM", axis=1)

    def _last(self, turned: Sequence[str]) -> Factor:
        """Add the last outputs of both directions, which are the first of those turned round."""
        factors = []
        for each, way in zip(turned, WAYS, strict=True):
            last_ND = self.graph.node("Gather", [each, "first"], f"last_{way}_ND")
            if self.plan.starts_from_source:
                factors.append(self.products.factor(last_ND, self.size))
        # Where the decoder starts from nothing, nobody multiplies them.
        return self.products.join(factors, "rounded_last_NM") if factors else Factor("")


def _numbered(name: str, what: str, i: int) -> str:
    """Return the name of one of the states that a loop carries."""
    return f"{name}.{what}{i or ''}_ND"
