"""What a cell is where graphs are written: its weights by parts, and the steps that it can add.

Shapes: X stands for all axes before the last, I inputs of a layer; the other letters are those
of `models/README.md`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from training.forms import Form
from training.graph_products import Factor, Matrix, Products

Part = Literal["gates", "new"]

PARTS: tuple[Part, ...] = ("gates", "new")
INPUT, HIDDEN, BOTH = ("input",), ("hidden",), ("input", "hidden")


class Cell(ABC):
    """A cell of one layer in one direction, with its weights.

    Each step reads the output before, `h`, as a factor, and those of its states that it needs as
    they are, `carried`; it writes its states to `outputs`, h first.

    Args:
        name: What the weights' names begin with, such as `decoder.0`.
        num_states: Entries of its state.
    """

    carries: tuple[int, ...]
    """Places of the states that it needs as they are."""

    def __init__(
        self, form: Form, name: str, weights: Mapping[str, NDArray[Any]], num_states: int
    ) -> None:
        self.form = form
        self.name = name
        self.num_states = num_states
        self._weights = weights
        self.size = int(weights[f"{name}.hidden_weight"].shape[1])

    @property
    def state_names(self) -> tuple[str, ...]:
        """What its states are called, h first."""
        if self.form.states == 2:
            return "h", "c"
        return ("h", *(f"h{i}" for i in range(1, self.num_states)))

    @abstractmethod
    def step(
        self,
        products: Products,
        x: Factor,
        h: Factor,
        carried: Sequence[str],
        outputs: Sequence[str],
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
        carried: Sequence[str],
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
