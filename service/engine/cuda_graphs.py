"""The graphs that decode on a GPU, and memory there: all that `cuda_batch.py` knows of a device.

What the graphs read and write stays on the device. Tensors are bound by address, because a
captured CUDA graph is played back with the addresses that it was captured with: one capture for
each set of tensors. All of it runs on a CPU too, without capture, which is how it is tested.

Shapes: J sentences and R rows that join; the other letters are those of `models/README.md`.
"""

from collections.abc import Mapping
from itertools import count
from typing import Any, Literal, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from service.engine.device import CUDA_LOCK
from service.engine.hypothesis import StepResult
from service.engine.sessions import Sessions

Integers = NDArray[np.int64]
Shape = tuple[int, ...]
DecoderName = Literal["greedy", "beam"]
GraphName = Literal["greedy", "beam", "step"]

_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class DeviceTensor:
    """Memory of the device, at one address as long as it lives."""

    def __init__(self, value: onnxruntime.OrtValue, dtype: type, device: str) -> None:
        self._value, self._dtype, self._device = value, dtype, device
        self.shape: Shape = tuple(value.shape())

    def write(self, values: NDArray[Any]) -> None:
        """Replace the whole content."""
        self._value.update_inplace(np.ascontiguousarray(values))

    def read(self) -> NDArray[Any]:
        """Copy the whole content to the host."""
        return np.array(self._value.numpy())

    def place(self, shape: Shape | None = None) -> tuple[str, int, type, Shape, int]:
        """Return what a binding wants to know; the shape may be another of the same size."""
        return self._device, 0, self._dtype, shape or self.shape, self._value.data_ptr()


class Bound(NamedTuple):
    """A tensor as an input or output of a graph, in the shape in which the graph knows it."""

    tensor: DeviceTensor
    shape: Shape | None = None


class Moves(NamedTuple):
    """Which sentences and rows of some tensors are copied, and to which places of others."""

    sentences_J: Integers
    places_J: Integers
    rows_R: Integers
    row_places_R: Integers


class BoundRun:
    """A graph with all that it reads and writes: it can be run again and again."""

    def __init__(self, session: Any, binding: Any, number: int | None) -> None:  # noqa: ANN401
        self._session, self._binding = session, binding
        self._options = onnxruntime.RunOptions()
        if number is not None:
            self._options.add_run_config_entry("gpu_graph_id", str(number))

    def run(self) -> None:
        """Run the graph and wait for its end; the first time, capture it if it has a number.

        ONNX Runtime runs it several times then, so it must not write what it reads.
        """
        self._session.run_with_iobinding(self._binding, self._options)


class CudaGraphs:
    """The graphs of a bundle for decoding on a device; the batches of one worker share them.

    Nothing else may use the device while a graph is captured: hold `lock` for whatever is done
    with these graphs and their tensors.

    Args:
        capture: play runs back as CUDA graphs; of no effect on a CPU.
    """

    def __init__(self, sessions: Sessions, *, capture: bool = True) -> None:
        self.device = sessions.device
        self.lock = CUDA_LOCK
        self.states = sessions.states
        """Names of the state tensors, without their shape letters."""
        self.vocabulary_size = sessions.vocabulary_size
        is_captured = capture and self.device == "cuda"
        self._numbers = count() if is_captured else None
        self._encoder, self._join = sessions.open("encoder"), sessions.open("join")
        self._decoders = {
            "greedy": sessions.open("greedy", capture=is_captured),
            "beam": sessions.open("beam", capture=is_captured),
            "step": sessions.open("step"),
        }
        self._read_sizes()

    def _read_sizes(self) -> None:
        inputs = {each.name: each for each in self._decoders["beam"].get_inputs()}
        self.dtype = _DTYPES[inputs["keys_NAS"].type]
        """Of the numbers in memory and states."""
        self.key_size = int(inputs["keys_NAS"].shape[1])
        self.memory_size = int(inputs["memory_NSM"].shape[2])
        self.state_sizes = [int(inputs[f"{name}_PH"].shape[1]) for name in self.states]
        self.counts = {name: self._count(name) for name in ("greedy", "beam")}
        """Target positions of a run of the greedy graph, candidates of one of the beam graph."""

    def _count(self, graph: GraphName) -> int:
        outputs = {each.name: each for each in self._decoders[graph].get_outputs()}
        return int(outputs["chosen_NKX"].shape[2]) // 2

    def tensor(self, values: NDArray[Any]) -> DeviceTensor:
        """Copy values to memory of the device."""
        value = onnxruntime.OrtValue.ortvalue_from_numpy(values, self.device)
        return DeviceTensor(value, values.dtype.type, self.device)

    def zeros(self, shape: Shape, dtype: type | None = None) -> DeviceTensor:
        """Take memory of the device, of the numbers' own type by default."""
        return self.tensor(np.zeros(shape, dtype or self.dtype))

    def outputs(self, graph: GraphName, ending: str) -> list[str]:
        """Return the outputs of a decoding graph that end so, in the order of their positions."""
        names = [each.name for each in self._decoders[graph].get_outputs()]
        return [name for name in names if name.endswith(ending)]

    def bind(
        self, graph: DecoderName, inputs: Mapping[str, Bound], outputs: Mapping[str, Bound]
    ) -> BoundRun:
        """Bind a decoding graph to tensors, by the names of its inputs and outputs."""
        session = self._decoders[graph]
        binding = session.io_binding()
        for name, (tensor, shape) in inputs.items():
            binding.bind_input(name, *tensor.place(shape))
        for name, (tensor, shape) in outputs.items():
            binding.bind_output(name, *tensor.place(shape))
        return BoundRun(session, binding, None if self._numbers is None else next(self._numbers))

    def encode(
        self, source_NS: Integers, lengths_N: NDArray[np.int32], mask_NS: NDArray[Any]
    ) -> dict[str, DeviceTensor]:
        """Encode sentences; return what they take along, by the names that tables use."""
        binding = self._encoder.io_binding()
        binding.bind_cpu_input("source_NS", source_NS)
        binding.bind_cpu_input("lengths_N", lengths_N)
        for name in ("keys_NAS", "memory_NSM", *(f"{state}_NH" for state in self.states)):
            binding.bind_output(name, self.device)
        self._encoder.run_with_iobinding(binding)
        names = ["keys_NAS", "memory_NSM", *(f"{state}_PH" for state in self.states)]
        pairs = zip(names, binding.get_outputs(), strict=True)
        encoded = {name: DeviceTensor(value, self.dtype, self.device) for name, value in pairs}
        return encoded | {"mask_NS": self.tensor(mask_NS.astype(self.dtype))}

    def join(
        self, into: Mapping[str, DeviceTensor], source: Mapping[str, DeviceTensor], moves: Moves
    ) -> None:
        """Copy sentences and rows of some tensors to places of others, which may be longer."""
        positions, given = into["mask_NS"].shape[1], source["mask_NS"].shape[1]
        missing = max(0, positions - given)
        binding = self._join.io_binding()
        for name, values in {
            "sentences_J": moves.sentences_J,
            "places_J1": moves.places_J[:, None],
            "rows_R": moves.rows_R,
            "row_places_R1": moves.row_places_R[:, None],
            "positions_1": np.array([positions]),
            "padding_keys_NAS": np.array([0, 0, 0, 0, 0, missing]),
            "padding_memory_NSM": np.array([0, 0, 0, 0, missing, 0]),
            "padding_mask_NS": np.array([0, 0, 0, missing]),
        }.items():
            binding.bind_cpu_input(name, np.ascontiguousarray(values))
        for name, tensor in into.items():
            binding.bind_input(f"from_{name}", *source[name].place())
            binding.bind_input(f"into_{name}", *tensor.place())
            # Written where it is read: then nothing is copied but what joins.
            binding.bind_output(f"joined_{name}", *tensor.place())
        self._join.run_with_iobinding(binding)

    def step(
        self,
        inputs: Mapping[str, Bound],
        candidates: int,
        outputs: Mapping[str, Bound],
        *,
        with_attention: bool,
    ) -> StepResult:
        """Run the plain step, which computes any number of candidates; it is never captured."""
        session = self._decoders["step"]
        binding = session.io_binding()
        binding.bind_cpu_input("candidates", np.array([min(candidates, self.vocabulary_size)]))
        for name, (tensor, shape) in inputs.items():
            binding.bind_input(name, *tensor.place(shape))
        results = ["scores_NKC", "tokens_NKC", *(["attention_NKS"] if with_attention else [])]
        for name in results:
            binding.bind_output(name, "cpu")
        for name, (tensor, shape) in outputs.items():
            binding.bind_output(name, *tensor.place(shape))
        session.run_with_iobinding(binding)
        values = [each.numpy() for each in binding.get_outputs()[: len(results)]]
        attention_NKS = values[2].astype(np.float32) if with_attention else None
        return StepResult(values[0], values[1], attention_NKS)
