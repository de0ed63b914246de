"""What written graphs hold: their tensors for the manifest, and their weights, read back.

Reading the weights undoes what `write_graphs` does. A weight is found by the node that reads
it, for equal weights lie in the file once and under one name. Gates return to PyTorch's
order, matrices to output by input.

An LSTM's step holds the sum of two biases only. It comes back as the input's; the hidden one
is zero. The same graphs are written from that.

Shapes: those of `graphs.py`.
"""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from models.bundle import Bundle, Graph, Tensor, Variant, describe_file
from training.graph_plan import Plan
from training.graphs import GraphFiles

Array = NDArray[np.float32]


def describe_variant(files: GraphFiles, folder: Path) -> Variant:
    """Return what a manifest in `folder` says of graphs there, as yet without their cost."""
    written = {name: path for name, path in asdict(files).items() if path is not None}
    described = {name: describe_file(path, folder) for name, path in written.items()}
    return Variant.model_validate(described)


def describe_graph(path: Path) -> Graph:
    """Return what goes into a graph and what comes out."""
    graph = onnx.load(path, load_external_data=False).graph
    return Graph(
        inputs={value.name: _describe_tensor(value) for value in graph.input},
        outputs={value.name: _describe_tensor(value) for value in graph.output},
    )


def plan_of_bundle(bundle: Bundle) -> Plan:
    """Return the plan that the graphs of a bundle were built by."""
    shape = bundle.manifest.architecture
    return Plan(shape.cell, shape.attention, shape.encoder_layers, shape.decoder_layers)


def files_of_bundle(bundle: Bundle) -> GraphFiles:
    """Return where the fp32 graphs of a bundle lie."""
    variant = bundle.manifest.variants["fp32"]
    return GraphFiles(*map(bundle.file, (variant.encoder, variant.step, variant.weights)))


def read_weights(plan: Plan, files: GraphFiles) -> dict[str, Array]:
    """Return the weights that single precision graphs were written from.

    Raises:
        ValueError: the graphs are not as this version writes them.
    """
    try:
        return {
            **_encoder_weights(plan, _Graph(files.encoder)),
            **_step_weights(plan, _Graph(files.step)),
        }
    except (KeyError, IndexError) as error:
        raise ValueError(f"{files.step.parent}: the graphs lack {error}") from None


def _describe_tensor(value: onnx.ValueInfoProto) -> Tensor:
    kind = value.type.tensor_type
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(kind.elem_type)).name
    shape = [size.dim_param or size.dim_value for size in kind.shape.dim]
    return Tensor.model_validate({"dtype": dtype, "shape": shape})


def _encoder_weights(plan: Plan, graph: "_Graph") -> dict[str, Array]:
    weights = {"source_embedding": graph.weight("embedded_SNE", 0)}
    for layer in range(plan.encoder_layers):
        weights |= _layer_weights(plan, graph, layer)
    if plan.attention != "dot":
        weights["keys.weight"] = graph.weight("keys_product_NSA", 1).T
    if plan.attention == "additive":
        weights["keys.bias"] = graph.weight("keys_NSA", 1)
    for layer in range(plan.decoder_layers):
        weights |= graph.linear(f"initial.{layer}", f"initial.{layer}_NH")
    return weights


def _layer_weights(plan: Plan, graph: "_Graph", layer: int) -> dict[str, Array]:
    # GRU and LSTM take the weights of both directions in one tensor, and both biases too.
    input_2GI, hidden_2GD, biases = (graph.weight(f"y{layer}_S2ND", i) for i in (1, 2, 3))
    input_2G, hidden_2G = np.split(biases, 2, axis=1)
    weights: dict[str, Array] = {}
    for i, way in enumerate(("forward", "backward")):
        parts = {
            "input_weight": input_2GI[i],
            "hidden_weight": hidden_2GD[i],
            "input_bias": input_2G[i],
            "hidden_bias": hidden_2G[i],
        }
        for part, values in parts.items():
            weights[f"encoder.{layer}.{way}.{part}"] = _gates(plan, values)
    return weights


def _gates(plan: Plan, values: Array) -> Array:
    # ONNX: update, reset, new and input, output, forget, cell;
    # PyTorch: reset, update, new and input, forget, cell, output.
    order = {"gru": (1, 0, 2), "lstm": (0, 2, 3, 1)}[plan.cell]
    gates = np.split(values, len(order))
    return np.concatenate([gates[i] for i in order])


def _step_weights(plan: Plan, graph: "_Graph") -> dict[str, Array]:
    weights = {
        "target_embedding": graph.weight("embedded_NKE", 0),
        "output_embedding": graph.weight("output_embedding_EV", 0),
        "output_bias": graph.weight("logits_NKV", 1),
        **graph.linear("readout", "readout_linear_NKE"),
    }
    for layer in range(plan.decoder_layers):
        name = f"decoder.{layer}"
        weights |= dict(_cell_weights(plan, graph, name))
    if plan.attention == "additive":
        weights["query.weight"] = graph.weight("query_NKA", 1).T
        weights["score.weight"] = graph.weight("scores_NK1S", 0)
    return weights


def _cell_weights(plan: Plan, graph: "_Graph", name: str) -> Iterator[tuple[str, Array]]:
    if plan.cell == "lstm":
        bias_G = graph.weight(f"{name}.gates_NKG", 1)
        yield f"{name}.input_bias", bias_G
        yield f"{name}.hidden_bias", np.zeros_like(bias_G)
        for side in ("input", "hidden"):
            yield f"{name}.{side}_weight", graph.weight(f"{name}.{side}_NKG", 1).T
        return
    for side in ("input", "hidden"):
        parts = f"{side}_weight", f"{side}_bias"
        yield from graph.linear(name, f"{name}.{side}_NKG", parts).items()


class _Graph:
    """A written graph, whose weights are asked for by who reads them."""

    def __init__(self, path: Path) -> None:
        graph = onnx.load(path).graph
        self._inputs_by_node = {node.name: list(node.input) for node in graph.node}
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}

    def weight(self, node: str, place: int) -> Array:
        """Return the weight that a node has as an input."""
        return numpy_helper.to_array(self._tensors[self._inputs_by_node[node][place]])

    def linear(
        self, name: str, output: str, parts: tuple[str, str] = ("weight", "bias")
    ) -> dict[str, Array]:
        """Return both weights of a product with a bias, see `GraphPart.linear`."""
        weight, bias = (f"{name}.{part}" for part in parts)
        return {weight: self.weight(f"{output}_product", 1).T, bias: self.weight(output, 1)}
