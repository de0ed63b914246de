"""Products in integers of 8 bits, for the CPU.

Activations are unsigned around 128, weights signed with a scale for each output. All that is
rounded has a bound: 1 for outputs of cells, for the context between them and for what went
through tanh; more for sums of outputs, and for what is normalised (see `Plan.reach`). So one
step is the bound over 127, always, and no text is needed to find scales. Measured on the bundle
tatoeba-de-en/2, where all bounds are 1: a smaller step for any one tensor brought the
log-probabilities no nearer to single precision, mostly away from it (the readout at 0.85/127:
from 0.0004 to 0.05 nats). Greedy BLEU on all of its dev set: 39.51 and 32.03, in single
precision 39.48 and 32.07.

With fixed steps the integers of a row, and so its result to the last bit, do not depend on
the other rows; steps taken from the batch, as dynamic quantisation does, would make a
translation depend on its company.

The steps of an activation are multiplied into the weights before these are rounded. That is
why factors with different steps can be joined, and products need no scale on the left.

Source: ONNX Runtime, operator MatMulIntegerToFloat of its own domain.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.graph_products import Factor, Matrix
from training.graph_writer import RUNTIME_DOMAIN, GraphWriter

ZERO = 128
"""What stands for 0 among activations."""
STEPS = 127
"""Steps from there to the greatest activation."""
MAX_WEIGHT = 127
"""The greatest weight, and the most that two weights of one pair may add up to, less one."""


class IntegerProducts:
    """Products of integers; what comes out is floating point again."""

    def __init__(self, graph: GraphWriter) -> None:
        self.graph = graph
        self._factors: dict[str, Factor] = {}

    def look_up(self, name: str, table_VE: NDArray[Any], ids: str, output: str) -> Factor:
        """Add the rows of a table, which are integers already."""
        step = np.float32(np.abs(table_VE).max() / STEPS)
        rounded_VE = np.rint(table_VE / step) + ZERO
        table = self.graph.weight(f"{name}.rounded", rounded_VE.astype(np.uint8))
        rows = self.graph.node("Gather", [table, ids], output)
        return Factor(rows, np.full(table_VE.shape[1], step))

    def factor(self, tensor: str, size: int, bound: float = 1.0) -> Factor:
        """Round a tensor, once, however often it is asked for; what is beyond the bound is cut."""
        if tensor not in self._factors:
            name = "step" if bound == 1 else f"step_{bound:g}"
            step = self.graph.constant(name, np.array(bound / STEPS, np.float32))
            inputs = [tensor, step, self._zero()]
            rounded = self.graph.node("QuantizeLinear", inputs, f"{tensor}.rounded")
            self._factors[tensor] = rounded_factor(rounded, size, bound)
        return self._factors[tensor]

    def join(self, factors: Sequence[Factor], output: str) -> Factor:
        """Put factors of the same rows side by side."""
        tensors = [factor.tensor for factor in factors]
        steps = np.concatenate([_steps(factor) for factor in factors])
        return Factor(self.graph.node("Concat", tensors, output, axis=-1), steps)

    def multiply(self, factor: Factor, matrix: Matrix, output: str) -> str:
        """Add a product and return the tensor, in floating point."""
        right = self.round(matrix, _steps(factor))
        return self.multiply_rounded(factor, right, output)

    def round(self, matrix: Matrix, steps: NDArray[np.float32]) -> list[str]:
        """Return what `multiply_rounded` reads: weights, scales and, if there is one, bias."""
        rounded_OI, scale_O = round_weight(matrix.weight * steps)
        right = [
            self.graph.weight(f"{matrix.name}.rounded", rounded_OI.T),
            self.graph.weight(f"{matrix.name}.scale", scale_O),
        ]
        if matrix.bias is not None:
            right.append(self.graph.weight(f"{matrix.name}.bias", matrix.bias))
        return right

    def multiply_rounded(self, factor: Factor, right: Sequence[str], output: str) -> str:
        """Add a product with what is rounded already and return the tensor."""
        weight_IO, scale_O, *bias_O = right
        one = self.graph.constant("one", np.array(1, np.float32))
        inputs = [factor.tensor, weight_IO, one, scale_O, self._zero(), "", *bias_O]
        return self.graph.node(f"{RUNTIME_DOMAIN}:MatMulIntegerToFloat", inputs, output)

    def _zero(self) -> str:
        return self.graph.constant("zero", np.array(ZERO, np.uint8))


def rounded_factor(tensor: str, size: int, bound: float = 1.0) -> Factor:
    """Make a factor of a tensor that is rounded already.

    Args:
        size: Its last axis.
        bound: The value that is STEPS steps from 0.
    """
    return Factor(tensor, np.full(size, bound / STEPS, np.float32))


def round_weight(weight_OI: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return a weight as integers and the scale of each output.

    Without VNNI instructions the kernels add the products of inputs 0 and 1, 2 and 3, ... in
    16 bits, with saturation. So weights of one sign in such a pair add up to 128 at most:
    255 x 128 = 32640 still fits. On the bundle tatoeba-de-en/2 the log-probabilities are then
    0.00025 nats from those in single precision, as with 8 bits and no such bound; 7 bits, which
    fit in any pair, make it 0.00043, and 7 bits for activations instead 0.00062. Emulated
    processors without VNNI (Haswell in QEMU) computed all its products exactly, those of
    weights without the bound not.
    """
    num_outputs, num_inputs = weight_OI.shape
    pairs_OI2 = np.pad(weight_OI, ((0, 0), (0, num_inputs % 2))).reshape(num_outputs, -1, 2)
    sums = [np.maximum(sign * pairs_OI2, 0).sum(axis=2).max(axis=1) for sign in (1, -1)]
    # Half a step from each rounding is what MAX_WEIGHT leaves to 128.
    scale_O = np.maximum(*sums).astype(np.float32) / MAX_WEIGHT
    scale_O[scale_O == 0] = 1
    return np.rint(weight_OI / scale_O[:, None]).astype(np.int8), scale_O


def _steps(factor: Factor) -> NDArray[np.float32]:
    assert factor.steps is not None, "a factor in floating point"
    return factor.steps
