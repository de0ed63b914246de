"""What the two graphs are built from: a plan, named weights, and the pen of one graph."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.context import ContextUse
from training.forms import CELLS, Form, num_states
from training.graph_cell import Cell
from training.graph_cells import build_cell
from training.graph_products import Arithmetic, Factor, Matrix
from training.graph_writer import GraphWriter, WeightFile, WeightPart, kind_of
from training.kinds import AttentionKind, CellKind, ContextReaders, Summary

NORMALISED = 6.0
"""Deviations from the mean within which integers hold what is normalised; beyond, they cut it off.
Outputs of the bundle tatoeba-de-en/2, normalised for trial, lose least in the mean square by being
rounded and cut at 5 or 6 in three of four layers; of each, at most one in 10,000 lies beyond 6."""
MASKED = -1e4
"""Added to attention's score of padding: its weight is exactly zero then, in half precision too."""

Weights = Mapping[str, NDArray[Any]]
"""By name; the names and shapes stand in `graphs.py`."""


@dataclass(frozen=True, slots=True)
class Plan(ContextUse):
    """What the weights do not say; all sizes are read off them."""

    cell: CellKind
    attention: AttentionKind
    encoder_layers: int
    decoder_layers: int
    attention_heads: int = 1
    layer_norm: bool = False
    residual: bool = False
    context: ContextReaders = "every"
    delay: int = 1
    """Steps that the cell `skip` looks back."""
    summary: Summary = "both"
    input_feeding: bool = False

    def reach(self, layer: int) -> float:
        """Return what bounds that which a layer passes on; outputs of cells are bounded by 1."""
        if self.layer_norm:
            return NORMALISED
        return layer + 1.0 if self.residual else 1.0

    @property
    def is_plain(self) -> bool:
        """Whether layers pass on their outputs as they are."""
        return not (self.layer_norm or self.residual)

    @property
    def states_per_layer(self) -> int:
        """How many state tensors a decoder layer carries; the first is what others read."""
        return num_states(self.cell, self.delay)

    @property
    def form(self) -> Form:
        """What its cells are computed as."""
        return CELLS[self.cell].form

    @property
    def num_states(self) -> int:
        """How many state tensors the two graphs exchange."""
        return self.decoder_layers * self.states_per_layer + self.carries_context


@dataclass(frozen=True, slots=True)
class Interface:
    """The sizes of what the graphs exchange, and the type of its numbers."""

    dtype: np.dtype[Any]
    key_size: int
    """A: what a query must fit."""
    memory_size: int
    """M."""
    state_sizes: tuple[int, ...]
    """H of each state tensor."""
    vocabulary_size: int

    @property
    def kind(self) -> int:
        """The ONNX type of its numbers."""
        return kind_of(np.empty(0, self.dtype))


class GraphPart:
    """What both graphs need: plan, weights, the graph under construction, its arithmetic."""

    name: str

    def __init__(
        self, plan: Plan, weights: Weights, file: WeightFile | WeightPart, arithmetic: Arithmetic
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
    def memory_reach(self) -> float:
        """What bounds the memory, and so what attention reads of it."""
        return self.plan.reach(self.plan.encoder_layers - 1)

    @property
    def context_reach(self) -> float:
        """What bounds the context; without attention it is outputs as they are."""
        return self.memory_reach if self.plan.attends else 1.0

    @property
    def key_size(self) -> int:
        """A: what a query must fit."""
        if not self.plan.attends:
            return 1
        if self.plan.attention == "dot":
            return self.memory_size
        return int(self.weights["keys.weight"].shape[0])

    @property
    def interface(self) -> Interface:
        """What the graphs of this network exchange."""
        return Interface(
            dtype=self.weights["output_bias"].dtype,
            key_size=self.key_size,
            memory_size=self.memory_size,
            state_sizes=tuple(map(self.state_size, range(self.plan.num_states))),
            vocabulary_size=len(self.weights["output_bias"]),
        )

    def state_size(self, state: int) -> int:
        """H of a state tensor; a context that is handed on comes last."""
        layer = state // self.plan.states_per_layer
        if layer == self.plan.decoder_layers:
            return self.memory_size
        return int(self.weights[f"decoder.{layer}.hidden_weight"].shape[1])

    def cell(self, name: str) -> Cell:
        """Return the cell whose weights' names begin with a name."""
        return build_cell(self.plan.form, name, self.weights, self.plan.states_per_layer)

    def look_up(self, name: str, ids: str, output: str) -> Factor:
        """Add the rows of an embedding table."""
        return self.products.look_up(name, self.weights[name], ids, output)

    def pass_on(self, layer: int, outputs: str, below: str | None, size: int) -> tuple[str, str]:
        """Add what a layer passes on; return the sum for the layer above, and what is read of it.

        See `depth.py`; the operator's epsilon is PyTorch's.

        Args:
            below: the sum of the layer below; None for the first one.
            size: the units of each position.
        """
        graph, letters = self.graph, outputs.rpartition("_")[2]
        total = outputs
        if self.plan.residual and below is not None:
            total = graph.node("Add", [outputs, below], f"sum{layer}_{letters}")
        if not self.plan.layer_norm:
            return total, total
        ones = np.ones(size, self.weights["output_bias"].dtype)
        inputs = [total, graph.constant(f"ones_{size}", ones)]
        return total, graph.node("LayerNormalization", inputs, f"read{layer}_{letters}", axis=-1)

    def linear(self, name: str, factor: Factor, output: str) -> str:
        """Add a product with the weight of that name, and its bias if there is one."""
        weight, bias = self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias")
        return self.products.multiply(factor, Matrix(name, weight, bias), output)
