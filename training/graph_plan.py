"""What the two graphs are built from: a plan, named weights, and the pen of one graph."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.graph_writer import GraphWriter, WeightFile

Weights = Mapping[str, NDArray[np.float32]]
"""By name; the names and shapes stand in `graphs.py`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the weights do not say; all sizes are read off them."""

    cell: Literal["gru", "lstm"]
    attention: Literal["dot", "general", "additive"]
    encoder_layers: int
    decoder_layers: int

    @property
    def states_per_layer(self) -> int:
        """How many state tensors a decoder layer carries; the first is what others read."""
        return 2 if self.cell == "lstm" else 1

    @property
    def num_states(self) -> int:
        """How many state tensors the two graphs exchange."""
        return self.decoder_layers * self.states_per_layer


class GraphPart:
    """What both graphs need: the plan, the weights and the graph under construction."""

    def __init__(self, name: str, plan: Plan, weights: Weights, file: WeightFile) -> None:
        self.plan = plan
        self.weights = weights
        self.graph = GraphWriter(name, file)

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

    def weight(self, name: str) -> str:
        """Return the tensor of a weight as it is."""
        return self.graph.weight(name, self.weights[name])

    def transposed(self, name: str) -> str:
        """Return the tensor of a weight stored as input by output, as products read it."""
        return self.graph.weight(f"{name}.transposed", self.weights[name].T)

    def linear(
        self, name: str, x: str, output: str, parts: tuple[str, str] = ("weight", "bias")
    ) -> str:
        """Add a product with a bias; `parts` are the ends of the two weights' names."""
        weight, bias = (f"{name}.{part}" for part in parts)
        product = self.graph.node("MatMul", [x, self.transposed(weight)], f"{output}_product")
        return self.graph.node("Add", [product, self.weight(bias)], output)
