"""What the two graphs are built from: a plan, named weights, and the pen of one graph."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from training.graph_cells import Cell, CellKind, build_cell
from training.graph_products import Arithmetic, Factor, Matrix
from training.graph_writer import GraphWriter, WeightFile, kind_of

MASKED = -1e4
"""Added to attention's score of padding: its weight is exactly zero then, in half precision too."""

Weights = Mapping[str, NDArray[Any]]
"""By name; the names and shapes stand in `graphs.py`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the weights do not say; all sizes are read off them."""

    cell: CellKind
    attention: Literal["dot", "general", "additive"]
    encoder_layers: int
    decoder_layers: int
    attention_heads: int = 1

    @property
    def states_per_layer(self) -> int:
        """How many state tensors a decoder layer carries; the first is what others read."""
        return 2 if self.cell == "lstm" else 1

    @property
    def num_states(self) -> int:
        """How many state tensors the two graphs exchange."""
        return self.decoder_layers * self.states_per_layer


class GraphPart:
    """What both graphs need: plan, weights, the graph under construction, its arithmetic."""

    name: str

    def __init__(
        self, plan: Plan, weights: Weights, file: WeightFile, arithmetic: Arithmetic
    ) -> None:
        self.plan = plan
        self.weights = weights
        self.graph = GraphWriter(self.name, file)
        self.arithmetic = arithmetic
        self.products = arithmetic(self.graph)
        self.kind = kind_of(weights["output_bias"])
        """The type of what the graphs exchange: that of the weights they were given."""

    @property
    def memory_size(self) -> int:
        """M: both directions of the encoder side by side."""
        return 2 * int(self.weights["encoder.0.forward.hidden_weight"].shape[1])

    @property
    def key_size(self) -> int:
        """A: what a query must fit."""
        if self.plan.attention == "dot":
            return self.memory_size
        return int(self.weights["keys.weight"].shape[0])

    def cell(self, name: str) -> Cell:
        """Return the cell whose weights' names begin with a name."""
        return build_cell(self.plan.cell, name, self.weights)

    def look_up(self, name: str, ids: str, output: str) -> Factor:
        """Add the rows of an embedding table."""
        return self.products.look_up(name, self.weights[name], ids, output)

    def linear(self, name: str, factor: Factor, output: str) -> str:
        """Add a product with the weight of that name, and its bias if there is one."""
        weight, bias = self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias")
        return self.products.multiply(factor, Matrix(name, weight, bias), output)
