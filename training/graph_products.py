"""Products with weights, the part of the graphs that precision decides.

A factor is the left side of products: a tensor in the form that products read. It is made
once and used in several products; factors of the same rows can be joined to one.

    tensor --factor--> Factor --join--> Factor --multiply--> tensor
    ids ---look_up---> Factor

This module writes floating point; `quantize.py` writes integers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from training.graph_writer import GraphWriter


@dataclass(frozen=True, slots=True)
class Factor:
    """The left side of products."""

    tensor: str
    steps: NDArray[np.float32] | None = None
    """What one step of the integers is worth, for each feature; None in floating point."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """The right side of a product, output by input, and what is added to the product."""

    name: str
    weight: NDArray[Any]
    bias: NDArray[Any] | None = None


class Products(Protocol):
    """Writes products into a graph, or into the body of one of its nodes."""

    graph: GraphWriter

    def look_up(self, name: str, table_VE: NDArray[Any], ids: str, output: str) -> Factor:
        """Add the rows of a table."""
        ...

    def factor(self, tensor: str, size: int, bound: float = 1.0) -> Factor:
        """Make a factor of a tensor; the same if it is asked for again.

        Args:
            size: Its last axis.
            bound: How great its values are at most; rare ones beyond may be cut off there.
        """
        ...

    def join(self, factors: Sequence[Factor], output: str) -> Factor:
        """Put factors of the same rows side by side."""
        ...

    def multiply(self, factor: Factor, matrix: Matrix, output: str) -> str:
        """Add a product and return the tensor, in floating point."""
        ...


Arithmetic = Callable[[GraphWriter], Products]
"""The products of one precision, for any graph."""


class FloatProducts:
    """Products in the precision of the weights."""

    def __init__(self, graph: GraphWriter) -> None:
        self.graph = graph

    def look_up(self, name: str, table_VE: NDArray[Any], ids: str, output: str) -> Factor:
        """Add the rows of a table."""
        return Factor(self.graph.node("Gather", [self.graph.weight(name, table_VE), ids], output))

    def factor(self, tensor: str, size: int, bound: float = 1.0) -> Factor:
        """Return the tensor as it is."""
        return Factor(tensor)

    def join(self, factors: Sequence[Factor], output: str) -> Factor:
        """Put factors of the same rows side by side."""
        tensors = [factor.tensor for factor in factors]
        return Factor(self.graph.node("Concat", tensors, output, axis=-1))

    def multiply(self, factor: Factor, matrix: Matrix, output: str) -> str:
        """Add a product and return the tensor."""
        graph = self.graph
        weight = graph.weight(f"{matrix.name}.weight", matrix.weight)
        # Transposed when the runtime loads: a tied table lies in the file once.
        right = graph.node("Transpose", [weight], f"{matrix.name}.transposed", perm=[1, 0])
        if matrix.bias is None:
            return graph.node("MatMul", [factor.tensor, right], output)
        product = graph.node("MatMul", [factor.tensor, right], f"{output}_product")
        bias = graph.weight(f"{matrix.name}.bias", matrix.bias)
        return graph.node("Add", [product, bias], output)
