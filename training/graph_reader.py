"""What written graphs hold: their tensors for the manifest, and their weights, read back.

Reading the weights undoes what `write_graphs` does. A weight is found by the node that reads
it, for equal weights lie in the file once and under one name. Gates return to PyTorch's
order, matrices to output by input.

A cell of the decoder has two biases wherever a product has two factors; graphs hold their
sum. It comes back as the input's, and the hidden one is zero. The same graphs are written
from that.

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
from training.encoder_graph import WAYS
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
    return Plan(
        shape.cell,
        shape.attention,
        shape.encoder_layers,
        shape.decoder_layers,
        attention_heads=shape.attention_heads,
        layer_norm=shape.layer_norm,
        residual=shape.residual,
        context=shape.context,
        delay=shape.delay or 1,
        summary=shape.summary or "both",
        input_feeding=shape.input_feeding,
    )


def files_of_bundle(bundle: Bundle) -> GraphFiles:
    """Return where the fp32 graphs of a bundle's network lie.

    Raises:
        ValueError: the bundle is an ensemble.
    """
    if bundle.manifest.provenance.ensemble:
        raise ValueError(f"{bundle.identity} is an ensemble: it has no weights of one network")
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
    embedded = "embedded_SNE" if plan.form.operator else f"embedded_{WAYS[0]}_SNE"
    weights = {"source_embedding": graph.weight(embedded, 0)}
    for layer in range(plan.encoder_layers):
        weights |= _layer_weights(plan, graph, layer)
    if plan.attention not in {"dot", "none"}:
        weights["keys.weight"] = graph.matrix("keys")
    if plan.attention == "additive":
        weights["keys.bias"] = graph.bias("keys_NSA")
    for layer in range(plan.decoder_layers if plan.starts_from_source else 0):
        name = f"initial.{layer}"
        weights |= {f"{name}.weight": graph.matrix(name), f"{name}.bias": graph.bias(f"{name}_NH")}
    return weights


def _layer_weights(plan: Plan, graph: "_Graph", layer: int) -> dict[str, Array]:
    names = {way: f"encoder.{layer}.{way}" for way in WAYS}
    if plan.form.operator is None:
        both = [_loop_weights(plan, graph, name) for name in names.values()]
        return {name: values for each in both for name, values in each.items()}
    # The operators take the weights of both directions in one tensor, and both biases too.
    node = f"y{layer}_S2ND"
    input_2GI, hidden_2GD, biases = (graph.weight(node, i) for i in (1, 2, 3))
    input_2G, hidden_2G = np.split(biases, 2, axis=1)
    weights: dict[str, Array] = {}
    for i, name in enumerate(names.values()):
        parts = {
            "input_weight": input_2GI[i],
            "hidden_weight": hidden_2GD[i],
            "input_bias": input_2G[i],
            "hidden_bias": hidden_2G[i],
        }
        weights |= {f"{name}.{part}": _gates(plan, values) for part, values in parts.items()}
        if plan.form.peepholes:
            weights[f"{name}.peephole"] = graph.weight(node, 7)[i]
    return weights


def _loop_weights(plan: Plan, graph: "_Graph", name: str) -> dict[str, Array]:
    from_x, bias = graph.matrix(f"{name}.new_input"), graph.bias(f"{name}.new_input_XG")
    sides = "_".join(_state_sides(plan))
    return _ungated(plan, name, from_x, graph.matrix(f"{name}.new_{sides}"), bias)


def _state_sides(plan: Plan) -> tuple[str, ...]:
    return ("hidden", "delayed") if plan.form.is_delayed else ("hidden",)


def _ungated(
    plan: Plan, name: str, from_x: Array, from_states: Array, bias: Array
) -> dict[str, Array]:
    sides = _state_sides(plan)
    states = zip(sides, np.split(from_states, len(sides), axis=1), strict=True)
    return {
        f"{name}.input_weight": from_x,
        **{f"{name}.{side}_weight": values for side, values in states},
        f"{name}.input_bias": bias,
        f"{name}.hidden_bias": np.zeros_like(bias),
    }


def _gates(plan: Plan, values: Array) -> Array:
    """Return gates in PyTorch's order, see `forms.py`."""
    gates = np.split(values, len(plan.form.order))
    return np.concatenate([gates[i] for i in np.argsort(plan.form.order)])


def _step_weights(plan: Plan, graph: "_Graph") -> dict[str, Array]:
    weights = {
        "target_embedding": graph.weight("embedded_NKE", 0),
        "output_embedding": graph.matrix("output"),
        "output_bias": graph.bias("logits_NKV"),
        "readout.weight": graph.matrix("readout"),
        "readout.bias": graph.bias("linear_NKE"),
    }
    for layer in range(plan.decoder_layers):
        weights |= _cell_weights(plan, graph, f"decoder.{layer}")
    if plan.attention == "additive":
        weights["query.weight"] = graph.matrix("query")
        weights["score.weight"] = graph.weight("scores_NKQ1S", 0).reshape(1, -1)
    return weights


def _cell_weights(plan: Plan, graph: "_Graph", name: str) -> dict[str, Array]:
    if plan.form.operator is not None:
        return _gated_weights(plan, graph, name)
    sides = _state_sides(plan)
    part = f"{name}.new_input_{'_'.join(sides)}"
    joined, bias = graph.matrix(part), graph.bias(f"{part}_XG")
    num_inputs = joined.shape[1] - len(sides) * len(joined)
    return _ungated(plan, name, joined[:, :num_inputs], joined[:, num_inputs:], bias)


def _gated_weights(plan: Plan, graph: "_Graph", name: str) -> dict[str, Array]:
    is_gru = plan.form.operator == "GRU"
    parts = ("gates_input_hidden", "new_input" if is_gru else "new_input_hidden")
    gates, new = (graph.matrix(f"{name}.{part}") for part in parts)
    gates_G, new_H = (graph.bias(f"{name}.{part}_XG") for part in parts)
    from_hidden, from_hidden_H = new[:, new.shape[1] - len(new) :], np.zeros_like(new_H)
    if is_gru:
        from_hidden = graph.matrix(f"{name}.new_hidden")
        from_hidden_H = graph.bias(f"{name}.new_hidden_XG")
    num_inputs = gates.shape[1] - len(new)
    weights = {
        f"{name}.input_weight": _interleave(gates[:, :num_inputs], new[:, :num_inputs]),
        f"{name}.hidden_weight": _interleave(gates[:, num_inputs:], from_hidden),
        f"{name}.input_bias": _interleave(gates_G, new_H),
        f"{name}.hidden_bias": _interleave(np.zeros_like(gates_G), from_hidden_H),
    }
    if plan.form.peepholes:
        looks = [graph.weight(f"{name}.{gate}_seen_XH", 1) for gate in plan.form.peepholes]
        weights[f"{name}.peephole"] = np.concatenate(looks)
    return weights


def _interleave(gates: Array, new: Array) -> Array:
    # PyTorch: reset, update, new and input, forget, new, output.
    return np.concatenate([gates[: 2 * len(new)], new, gates[2 * len(new) :]])


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of a graph and those of the loops in it."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nodes(attribute.g)


class _Graph:
    """A written graph, whose weights are asked for by who reads them."""

    def __init__(self, path: Path) -> None:
        graph = onnx.load(path).graph
        self._inputs_by_node = {node.name: list(node.input) for node in _nodes(graph)}
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}

    def weight(self, node: str, place: int) -> Array:
        """Return the weight that a node has as an input."""
        return numpy_helper.to_array(self._tensors[self._inputs_by_node[node][place]])

    def matrix(self, name: str) -> Array:
        """Return the right side of a product, output by input, see `FloatProducts.multiply`."""
        return self.weight(f"{name}.transposed", 0)

    def bias(self, output: str) -> Array:
        """Return what is added to the product that makes a tensor."""
        return self.weight(output, 1)
