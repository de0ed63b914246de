"""The recurrent cells as nodes: one step, whether of the decoder or in a loop over positions.

    gates = sigmoid(W [x, h] + b)      side by side: reset, update of a GRU; i, f, o of an LSTM
    new   = tanh(W [x, h] + b)         in a GRU the reset gate weighs what comes from h, or h

A form without gates has only what is new. Which cells are computed as which form is told in
`forms.py`; here there are forms only.

The decoder joins input and state before it multiplies: one product instead of two and a sum.
A loop has the inputs' products made beforehand, for all positions at once, and adds to them.

Shapes: X stands for all axes before the last, I inputs of a layer; the other letters are those
of `models/README.md`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.forms import Form
from training.graph_cell import BOTH, HIDDEN, INPUT, PARTS, Cell, Part
from training.graph_products import Factor, Products
from training.graph_writer import GraphWriter


class GRU(Cell):
    """Gated recurrent unit; it carries h."""

    carries = (0,)

    def step(
        self,
        products: Products,
        x: Factor,
        h: Factor,
        carried: Sequence[str],
        outputs: Sequence[str],
    ) -> None:
        """Add one step; only the gates take input and state joined."""
        joined = products.join([x, h], f"{self.name}.joined_XI")
        linear_XG = self._multiply(products, joined, "gates", BOTH, BOTH)
        new_XH = self._multiply(products, x, "new", INPUT, INPUT)
        self._update(products, (linear_XG, new_XH), h, carried, outputs)

    def project(self, products: Products, x: Factor) -> list[str]:
        """Add the inputs' products; the gates' have all biases in them."""
        gates_XG = self._multiply(products, x, "gates", INPUT, BOTH)
        return [gates_XG, self._multiply(products, x, "new", INPUT, INPUT)]

    def continue_from(
        self,
        products: Products,
        projected: Sequence[str],
        h: Factor,
        carried: Sequence[str],
        outputs: Sequence[str],
    ) -> None:
        """Add one step; the state's part of what is new stays apart."""
        from_h_XG = self._multiply(products, h, "gates", HIDDEN, ())
        linear_XG = products.graph.node("Add", [projected[0], from_h_XG], f"{self.name}.sum_XG")
        self._update(products, (linear_XG, projected[1]), h, carried, outputs)

    def _update(
        self,
        products: Products,
        linear: tuple[str, str],
        h: Factor,
        carried: Sequence[str],
        outputs: Sequence[str],
    ) -> None:
        graph, name = products.graph, self.name
        r_XH, z_XH = self._gates(products, linear[0], "rz")
        kept_XH = self._reset(products, r_XH, h, carried[0])
        linear_XH = graph.node("Add", [linear[1], kept_XH], f"{name}.linear_new_XH")
        new_XH = graph.node("Tanh", [linear_XH], f"{name}.new_XH")
        # h' = (1 - z) new + z h with one product less
        change_XH = graph.node("Sub", [carried[0], new_XH], f"{name}.change_XH")
        share_XH = graph.node("Mul", [z_XH, change_XH], f"{name}.share_XH")
        graph.node("Add", [new_XH, share_XH], outputs[0])

    def _reset(self, products: Products, r_XH: str, h: Factor, h_XH: str) -> str:
        """Add what is new of the state's part, before or after the reset gate."""
        graph, name = products.graph, f"{self.name}.kept_XH"
        if self.form.resets_before:
            kept_XH = graph.node("Mul", [r_XH, h_XH], f"{self.name}.reset_XH")
            kept = products.factor(kept_XH, self.size)
            return self._multiply(products, kept, "new", HIDDEN, HIDDEN)
        from_h_XH = self._multiply(products, h, "new", HIDDEN, HIDDEN)
        return graph.node("Mul", [r_XH, from_h_XH], name)


class LSTM(Cell):
    """Long short-term memory; it carries c."""

    carries = (1,)

    def step(
        self,
        products: Products,
        x: Factor,
        h: Factor,
        carried: Sequence[str],
        outputs: Sequence[str],
    ) -> None:
        """Add one step; all parts take input and state joined."""
        joined = products.join([x, h], f"{self.name}.joined_XI")
        linear = [self._multiply(products, joined, part, BOTH, BOTH) for part in PARTS]
        self._update(products, linear, carried, outputs)

    def project(self, products: Products, x: Factor) -> list[str]:
        """Add the inputs' products; all biases are in them."""
        return [self._multiply(products, x, part, INPUT, BOTH) for part in PARTS]

    def continue_from(
        self,
        products: Products,
        projected: Sequence[str],
        h: Factor,
        carried: Sequence[str],
        outputs: Sequence[str],
    ) -> None:
        """Add one step; the state's products are added to all parts."""
        linear = []
        for part, from_x in zip(PARTS, projected, strict=True):
            from_h = self._multiply(products, h, part, HIDDEN, ())
            linear.append(products.graph.node("Add", [from_x, from_h], f"{self.name}.{part}_sum"))
        self._update(products, linear, carried, outputs)

    def _update(
        self,
        products: Products,
        linear: Sequence[str],
        carried: Sequence[str],
        outputs: Sequence[str],
    ) -> None:
        graph, name = products.graph, self.name
        i_XH, f_XH, o_XH = self._gates(products, linear[0], "ifo")
        new_XH = graph.node("Tanh", [linear[1]], f"{name}.new_XH")
        kept_XH = graph.node("Mul", [f_XH, carried[0]], f"{name}.kept_XH")
        added_XH = graph.node("Mul", [i_XH, new_XH], f"{name}.added_XH")
        c_XH = graph.node("Add", [kept_XH, added_XH], outputs[1])
        bounded_XH = graph.node("Tanh", [c_XH], f"{name}.bounded_XH")
        graph.node("Mul", [o_XH, bounded_XH], outputs[0])


class PeepholeLSTM(LSTM):
    """An LSTM whose gates look at c, the output gate at the new one."""

    def _update(
        self,
        products: Products,
        linear: Sequence[str],
        carried: Sequence[str],
        outputs: Sequence[str],
    ) -> None:
        graph, name = products.graph, self.name
        names = [f"{name}.linear_{gate}_XH" for gate in "ifo"]
        i_XH, f_XH, o_XH = graph.nodes("Split", [linear[0]], names, axis=-1)
        i_XH, f_XH = (
            self._look(graph, "i", i_XH, carried[0]),
            self._look(graph, "f", f_XH, carried[0]),
        )
        new_XH = graph.node("Tanh", [linear[1]], f"{name}.new_XH")
        kept_XH = graph.node("Mul", [f_XH, carried[0]], f"{name}.kept_XH")
        added_XH = graph.node("Mul", [i_XH, new_XH], f"{name}.added_XH")
        c_XH = graph.node("Add", [kept_XH, added_XH], outputs[1])
        o_XH = self._look(graph, "o", o_XH, c_XH)
        bounded_XH = graph.node("Tanh", [c_XH], f"{name}.bounded_XH")
        graph.node("Mul", [o_XH, bounded_XH], outputs[0])

    def _look(self, graph: GraphWriter, gate: str, linear_XH: str, c_XH: str) -> str:
        """Add a gate that looks at a cell."""
        name = f"{self.name}.{gate}"
        peepholes = np.split(self._weights[f"{self.name}.peephole"], len(self.form.peepholes))
        weight = graph.weight(f"{name}_peephole", peepholes[self.form.peepholes.index(gate)])
        seen_XH = graph.node("Mul", [c_XH, weight], f"{name}_seen_XH")
        sum_XH = graph.node("Add", [linear_XH, seen_XH], f"{name}_sum_XH")
        return graph.node("Sigmoid", [sum_XH], f"{name}_XH")


class Elman(Cell):
    """What is new is all there is; nothing is needed but h as a factor."""

    carries = ()

    def step(
        self,
        products: Products,
        x: Factor,
        h: Factor,
        carried: Sequence[str],
        outputs: Sequence[str],
    ) -> None:
        """Add one step; it takes input and states joined."""
        joined = products.join([x, *self._read(products, h, carried)], f"{self.name}.joined_XI")
        linear_XH = self._multiply(products, joined, "new", ("input", *self._sides), BOTH)
        self._update(products, linear_XH, carried, outputs)

    def project(self, products: Products, x: Factor) -> list[str]:
        """Add the inputs' products; all biases are in them."""
        return [self._multiply(products, x, "new", INPUT, BOTH)]

    def continue_from(
        self,
        products: Products,
        projected: Sequence[str],
        h: Factor,
        carried: Sequence[str],
        outputs: Sequence[str],
    ) -> None:
        """Add one step; the states' product is added."""
        read = self._read(products, h, carried)
        joined = products.join(read, f"{self.name}.joined_XI") if len(read) > 1 else h
        from_h_XH = self._multiply(products, joined, "new", self._sides, ())
        sum_XH = products.graph.node("Add", [projected[0], from_h_XH], f"{self.name}.sum_XH")
        self._update(products, sum_XH, carried, outputs)

    _sides: tuple[str, ...] = HIDDEN

    def _read(self, products: Products, h: Factor, carried: Sequence[str]) -> list[Factor]:
        """Return the states that are multiplied."""
        return [h]

    def _update(
        self, products: Products, linear_XH: str, carried: Sequence[str], outputs: Sequence[str]
    ) -> None:
        products.graph.node(self.form.activation, [linear_XH], outputs[0])

    def _rows(self, part: Part, values: str) -> NDArray[Any]:
        return self._weights[f"{self.name}.{values}"]


class Skip(Elman):
    """It reads what it said long ago, too, and carries all that it said since."""

    _sides = ("hidden", "delayed")

    @property
    def carries(self) -> tuple[int, ...]:  # type: ignore[override]
        """All of its states."""
        return tuple(range(self.num_states))

    def _read(self, products: Products, h: Factor, carried: Sequence[str]) -> list[Factor]:
        return [h, products.factor(carried[-1], self.size)]

    def _update(
        self, products: Products, linear_XH: str, carried: Sequence[str], outputs: Sequence[str]
    ) -> None:
        super()._update(products, linear_XH, carried, outputs)
        for before, after in zip(carried, outputs[1:], strict=False):
            products.graph.node("Identity", [before], after)


def build_cell(form: Form, name: str, weights: Mapping[str, NDArray[Any]], num_states: int) -> Cell:
    """Return the cell whose weights' names begin with a name, such as `decoder.0`."""
    kind: type[Cell] = LSTM
    if form.is_delayed:
        kind = Skip
    elif form.peepholes:
        kind = PeepholeLSTM
    elif form.operator != "LSTM":
        kind = GRU if form.operator == "GRU" else Elman
    return kind(form, name, weights, num_states)
