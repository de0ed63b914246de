"""What the machine can do at most, measured with ONNX Runtime itself: graphs of one product.

Peaks of arithmetic come from products of hundreds of rows, which are bound by nothing else;
those of memory from products of one row, which read every weight once and use it once.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

PRODUCT_ROWS, PRODUCT_SIZE = 256, 1024
REPEATS = 25
BYTES = {"fp32": 4, "int8": 1}


@dataclass(frozen=True)
class Roofline:
    """The peaks of one thread, for weights of one precision."""

    operations: float
    """Multiplications and additions a second."""
    bytes_read: float
    """A second, of as many weights as the network's step has."""


def measure(precision: str, num_weights: int, folder: Path) -> Roofline:
    """Measure the peaks of a machine for weights of a precision."""
    rows, size = PRODUCT_ROWS, PRODUCT_SIZE
    operations = 2 * rows * size**2 / fastest(precision, rows, size, folder)
    columns = num_weights // size
    read = BYTES[precision] * columns * size / fastest(precision, 1, columns, folder)
    return Roofline(operations, read)


def fastest(precision: str, rows: int, columns: int, folder: Path) -> float:
    """Return the fewest seconds that a product with random weights took: a peak is the best."""
    path = folder / f"{precision}-{rows}-{columns}.onnx"
    onnx.save(product(precision, columns), path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    x_BK = random_matrix(precision, rows, PRODUCT_SIZE, signed=False)
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        session.run(None, {"x_BK": x_BK})
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def product(precision: str, columns: int) -> onnx.ModelProto:
    """Return a graph of one product."""
    weight_KN = random_matrix(precision, PRODUCT_SIZE, columns, signed=True)
    constants = [numpy_helper.from_array(weight_KN, "weight_KN")]
    if precision == "fp32":
        node, kind = helper.make_node("MatMul", ["x_BK", "weight_KN"], ["y_BN"]), TensorProto.FLOAT
    else:
        scales = {
            "x_scale": np.float32(0.01),
            "weight_scale_N": np.full(columns, 0.01, np.float32),
            "x_zero": np.uint8(128),
            "weight_zero_N": np.zeros(columns, np.int8),
        }
        constants += [numpy_helper.from_array(np.asarray(v), k) for k, v in scales.items()]
        inputs = ["x_BK", "weight_KN", *scales]
        node = helper.make_node("MatMulIntegerToFloat", inputs, ["y_BN"], domain="com.microsoft")
        kind = TensorProto.UINT8
    graph = helper.make_graph(
        [node],
        "product",
        [helper.make_tensor_value_info("x_BK", kind, ["B", PRODUCT_SIZE])],
        [helper.make_tensor_value_info("y_BN", TensorProto.FLOAT, ["B", columns])],
        constants,
    )
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=domains, ir_version=8)


def random_matrix(precision: str, rows: int, columns: int, *, signed: bool) -> NDArray:
    """Draw a matrix of weights, which are signed, or of what they are multiplied with."""
    draw = np.random.default_rng(0)
    if precision == "fp32":
        return draw.standard_normal((rows, columns), np.float32)
    dtype = np.int8 if signed else np.uint8
    limits = np.iinfo(dtype)
    return draw.integers(limits.min // 2, limits.max // 2, (rows, columns), dtype)
