"""The recurrent cells as nodes: one step, whether of the decoder or in a loop over positions.

    gates = sigmoid(W [x, h] + b)      side by side: reset, update of a GRU; i, f, o of an LSTM
    new   = tanh(W [x, h] + b)         in a GRU the reset gate weighs what comes from h

The decoder joins input and state before it multiplies: one product instead of two and a sum.
A loop has the inputs' products made beforehand, for all positions at once, and adds to them.

Shapes: X stands for all axes before the last, I inputs of a layer; the other letters are those
of `models/README.md`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from training.graph_products import Factor, Matrix, Products
from training.kinds import CellKind

Part = Literal["gates", "new"]

PARTS: tuple[Part, ...] = ("gates", "new")
INPUT, HIDDEN, BOTH = ("input",), ("hidden",), ("input", "hidden")


class Cell(ABC):
    """A cell of one layer in one direction, with its weights.

    Each step reads the output before, `h`, as a factor, and what the cell carries besides; it
    writes its states to `outputs`, h first, what it carries last.

    Args:
        name: What the weights' names begin with, such as `decoder.0`.
    """

    states: tuple[str, ...]

    def __init__(self, name: str, weights: Mapping[str, NDArray[Any]]) -> None:
        self.name = name
        self._weights = weights
        self.size = int(weights[f"{name}.hidden_weight"].shape[1])

    @abstractmethod
    def step(
        self, products: Products, x: Factor, h: Factor, carried: str, outputs: Sequence[str]
    ) -> None:
        """Add one step from its input."""

    @abstractmethod
    def project(self, products: Products, x: Factor) -> list[str]:
        """Add the products with the inputs, of all positions at once."""

    @abstractmethod
    def continue_from(
        self,
        products: Products,
        projected: Sequence[str],
        h: Factor,
        carried: str,
        outputs: Sequence[str],
    ) -> None:
        """Add one step from what `project` gave for its position."""

    def _multiply(
        self,
        products: Products,
        factor: Factor,
        part: Part,
        sides: tuple[str, ...],
        biases: tuple[str, ...],
    ) -> str:
        """Add the product of a part with the sides' weights, and the biases of those named."""
        name = f"{self.name}.{part}_{'_'.join(sides)}"
        weight = np.concatenate([self._rows(part, f"{side}_weight") for side in sides], axis=1)
        added = [self._rows(part, f"{side}_bias") for side in biases]
        bias = np.sum(added, axis=0) if added else None
        return products.multiply(factor, Matrix(name, weight, bias), f"{name}_XG")

    def _rows(self, part: Part, values: str) -> NDArray[Any]:
        # PyTorch orders reset, update, new and input, forget, new, output.
        values_GI = self._weights[f"{self.name}.{values}"]
        new = slice(2 * self.size, 3 * self.size)
        return values_GI[new] if part == "new" else np.delete(values_GI, new, axis=0)

    def _gates(self, products: Products, linear_XG: str, names: str) -> list[str]:
        gates_XG = products.graph.node("Sigmoid", [linear_XG], f"{self.name}.gates_XG")
        return products.graph.nodes(
            "Split", [gates_XG], [f"{self.name}.{name}_XH" for name in names], axis=-1
        )


class GRU(Cell):
    """Gated recurrent unit, reset gate after the product; it carries h."""

    states = ("h",)

    def step(
        self, products: Products, x: Factor, h: Factor, carried: str, outputs: Sequence[str]
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
        carried: str,
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
        carried: str,
        outputs: Sequence[str],
    ) -> None:
        graph, name = products.graph, self.name
        r_XH, z_XH = self._gates(products, linear[0], "rz")
        from_h_XH = self._multiply(products, h, "new", HIDDEN, HIDDEN)
        kept_XH = graph.node("Mul", [r_XH, from_h_XH], f"{name}.kept_XH")
        linear_XH = graph.node("Add", [linear[1], kept_XH], f"{name}.linear_new_XH")
        new_XH = graph.node("Tanh", [linear_XH], f"{name}.new_XH")
        # h' = (1 - z) new + z h with one product less
        change_XH = graph.node("Sub", [carried, new_XH], f"{name}.change_XH")
        share_XH = graph.node("Mul", [z_XH, change_XH], f"{name}.share_XH")
        graph.node("Add", [new_XH, share_XH], outputs[0])


class LSTM(Cell):
    """Long short-term memory; it carries c."""

    states = ("h", "c")

    def step(
        self, products: Products, x: Factor, h: Factor, carried: str, outputs: Sequence[str]
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
        carried: str,
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
        carried: str,
        outputs: Sequence[str],
    ) -> None:
        graph, name = products.graph, self.name
        i_XH, f_XH, o_XH = self._gates(products, linear[0], "ifo")
        new_XH = graph.node("Tanh", [linear[1]], f"{name}.new_XH")
        kept_XH = graph.node("Mul", [f_XH, carried], f"{name}.kept_XH")
        added_XH = graph.node("Mul", [i_XH, new_XH], f"{name}.added_XH")
        c_XH = graph.node("Add", [kept_XH, added_XH], outputs[1])
        bounded_XH = graph.node("Tanh", [c_XH], f"{name}.bounded_XH")
        graph.node("Mul", [o_XH, bounded_XH], outputs[0])


def build_cell(kind: CellKind, name: str, weights: Mapping[str, NDArray[Any]]) -> Cell:
    """Return the cell whose weights' names begin with a name, such as `decoder.0`."""
    cells: dict[CellKind, type[Cell]] = {"gru": GRU, "lstm": LSTM}
    return cells[kind](name, weights)
