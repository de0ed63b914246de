"""A small pen for ONNX graphs: nodes by name, weights in one file that several graphs share.

What is computed is decided in `graphs.py`; this module knows the file format only.

Source: ONNX specification, "External data" and "IR versioning".
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
"""Both providers have a kernel for every operator used here at this revision. It is pinned
because a kernel that stops at a revision does not claim a later one: with a newer opset nodes
can move from the GPU to the CPU unseen."""
RUNTIME_DOMAIN = "com.microsoft"
"""ONNX Runtime's own operators, products of integers among them."""
RUNTIME_OPSET = 1
IR_VERSION = 8
"""The format that belongs to opset 17; all releases of ONNX Runtime since 1.13 read it."""
ALIGNMENT_BYTES = 64
"""One cache line, the widest vector register: a mapped file can be used where it lies."""

Attribute = int | str | list[int] | NDArray[Any] | onnx.GraphProto

FLOAT = TensorProto.FLOAT
FLOAT16 = TensorProto.FLOAT16
INT8 = TensorProto.INT8
UINT8 = TensorProto.UINT8
INT32 = TensorProto.INT32
INT64 = TensorProto.INT64


class WeightFile:
    """The weights of several graphs, each distinct array once, in the order they came."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._chunks: list[bytes] = []
        self._size_bytes = 0
        self._tensors: dict[str, TensorProto] = {}

    def add(self, name: str, values: NDArray[Any]) -> TensorProto:
        """Return a tensor that points into the file; equal arrays are the same tensor.

        The name is that of the first: a tied table keeps one name in all graphs.
        """
        data = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
        kind = kind_of(values)
        digest = hashlib.sha256(repr((values.shape, kind)).encode() + data).hexdigest()
        if digest not in self._tensors:
            tensor = TensorProto(name=name, dims=values.shape, data_type=kind)
            self._tensors[digest] = self._place(tensor, data)
        return self._tensors[digest]

    def part(self, prefix: str) -> "WeightPart":
        """Return the file to one who may use names that others use too."""
        return WeightPart(self, prefix)

    def write(self, folder: Path) -> Path:
        """Write all weights to `folder` and return the file."""
        path = folder / self.name
        with path.open("wb") as file:
            file.writelines(self._chunks)
        return path

    def _place(self, tensor: TensorProto, data: bytes) -> TensorProto:
        tensor.data_location = TensorProto.EXTERNAL
        place = {"location": self.name, "offset": self._size_bytes, "length": len(data)}
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        padding = bytes(-len(data) % ALIGNMENT_BYTES)
        self._chunks += [data, padding]
        self._size_bytes += len(data) + len(padding)
        return tensor


class WeightPart:
    """A file of weights in which every new name gets a prefix."""

    def __init__(self, file: WeightFile, prefix: str) -> None:
        self._file, self._prefix = file, prefix

    def add(self, name: str, values: NDArray[Any]) -> TensorProto:
        """Return a tensor that points into the file; equal arrays are the same tensor."""
        return self._file.add(self._prefix + name, values)


def kind_of(values: NDArray[Any]) -> int:
    """Return the ONNX type of an array's numbers."""
    return int(helper.np_dtype_to_tensor_dtype(values.dtype))


class GraphWriter:
    """One ONNX graph under construction. Tensors are handled by their names."""

    def __init__(self, name: str, weights: WeightFile | WeightPart) -> None:
        self._name = name
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._tensors: dict[str, TensorProto] = {}

    def input(self, name: str, kind: int, shape: Sequence[str | int]) -> str:
        """Declare an input of the graph."""
        self._inputs.append(helper.make_tensor_value_info(name, kind, list(shape)))
        return name

    def output(self, name: str, kind: int, shape: Sequence[str | int]) -> None:
        """Declare a tensor of the graph as its output."""
        self._outputs.append(helper.make_tensor_value_info(name, kind, list(shape)))

    def weight(self, name: str, values: NDArray[Any]) -> str:
        """Return the name of a tensor that holds a weight; it lies in the shared file."""
        tensor = self._weights.add(name, values)
        self._tensors[tensor.name] = tensor
        return tensor.name

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """Return the name of a small tensor kept in the graph itself."""
        self._tensors[name] = numpy_helper.from_array(values, name)
        return name

    def integers(self, *values: int) -> str:
        """Return the name of a list of integers: axes, shapes, sizes."""
        name = "_".join(["integers", *map(str, values)])
        return self.constant(name, np.array(values, np.int64))

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Attribute) -> str:
        """Add a node with one output and return the output."""
        return self.nodes(kind, inputs, [output], **attributes)[0]

    def nodes(
        self, kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Attribute
    ) -> list[str]:
        """Add a node with several outputs and return them; an empty name leaves one out.

        Args:
            kind: An operator of ONNX, or of the runtime if the name begins with its domain.
        """
        domain, _, kind = kind.rpartition(":")
        name = next(output for output in outputs if output)
        node = helper.make_node(kind, inputs, outputs, name=name, domain=domain)
        for key, value in sorted(attributes.items()):
            tensor = numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
            node.attribute.append(helper.make_attribute(key, tensor))
        self._nodes.append(node)
        return list(outputs)

    def body(self, name: str) -> "GraphWriter":
        """Return the pen of a graph for a node of this one; it reads this one's tensors."""
        body = GraphWriter(name, self._weights)
        body._tensors = self._tensors
        return body

    def finish_body(self) -> onnx.GraphProto:
        """Return a body as an attribute of its node."""
        return helper.make_graph(self._nodes, self._name, self._inputs, self._outputs)

    def include(
        self,
        other: "GraphWriter",
        known: Mapping[str, str],
        prefix: str,
        wanted: Collection[str] | None = None,
    ) -> None:
        """Add what another graph computes, each tensor's name with a prefix.

        Args:
            known: what it would read or compute, but is here already, with its name here.
            wanted: what is wanted of it, if not all; the rest is left out.
        """
        names = dict(known) | self._adopt(other, prefix)
        constants = set(other._tensors)
        mine = {node.name: node for node in self._nodes}
        for node in other._nodes if wanted is None else other._nodes_for(wanted):
            if known.keys() >= set(node.output):
                continue
            is_constant = constants >= set(node.input)
            if is_constant:
                # The same whatever is read: several copies share it.
                constants |= set(node.output)
                if mine.get(node.name) == _rename(node, names, prefix):
                    continue
            if not is_constant or node.name in mine:
                names |= {output: prefix + output for output in node.output}
            self._nodes.append(_rename(node, names, prefix))

    def _adopt(self, other: "GraphWriter", prefix: str) -> dict[str, str]:
        """Take over another graph's weights and constants; return new names where they differ."""
        names: dict[str, str] = {}
        for name, tensor in other._tensors.items():
            if self._tensors.setdefault(name, tensor) != tensor:
                names[name] = prefix + name
                renamed = TensorProto()
                renamed.CopyFrom(tensor)
                renamed.name = names[name]
                self._tensors[names[name]] = renamed
        return names

    def _nodes_for(self, wanted: Collection[str]) -> list[onnx.NodeProto]:
        """Return the nodes that these tensors depend on."""
        needed, nodes = set(wanted), []
        for node in reversed(self._nodes):
            if not needed.isdisjoint(node.output):
                needed |= set(node.input)
                nodes.append(node)
        return nodes[::-1]

    def write(self, path: Path) -> Path:
        """Check the graph, write it to `path`, beside the weights, and return the path."""
        graph = helper.make_graph(
            self._nodes, self._name, self._inputs, self._outputs, list(self._tensors.values())
        )
        opsets = [helper.make_opsetid("", OPSET)]
        if any(node.domain == RUNTIME_DOMAIN for node in self._nodes):
            opsets.append(helper.make_opsetid(RUNTIME_DOMAIN, RUNTIME_OPSET))
        model = helper.make_model(graph, opset_imports=opsets)
        model.ir_version = IR_VERSION
        path.write_bytes(model.SerializeToString(deterministic=True))
        # By path: the checker finds the weights only there, and infers shapes on the way.
        onnx.checker.check_model(str(path), full_check=True)
        return path


def _rename(node: onnx.NodeProto, names: Mapping[str, str], prefix: str) -> onnx.NodeProto:
    """Return a copy of a node that reads and computes tensors by other names."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    if any(output in names for output in node.output):
        copy.name = prefix + node.name
    for tensors in (copy.input, copy.output):
        tensors[:] = [names.get(tensor, tensor) for tensor in tensors]
    for attribute in copy.attribute:
        if attribute.HasField("g"):  # a body reads the tensors around it
            renamed = [_rename(inner, names, "") for inner in attribute.g.node]
            del attribute.g.node[:]
            attribute.g.node.extend(renamed)
    return copy
