"""The graphs of a bundle on ONNX Runtime: the only module that knows of sessions and providers."""

from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.bundle import Bundle, VariantName
from service.engine.search import StepResult

PROVIDER = "CPUExecutionProvider"

_VARIANTS: tuple[VariantName, ...] = ("int8", "fp32")


class Sessions:
    """The two graphs of a bundle, ready to run; any number of batches may share them."""

    def __init__(self, bundle: Bundle, *, variant: str = "auto") -> None:
        manifest = bundle.manifest
        found = next(name for name in _VARIANTS if name in manifest.variants)
        self.variant = found if variant == "auto" else variant
        """Which rendering of the network this is."""
        self.provider = PROVIDER
        """What of ONNX Runtime runs it."""
        self.vocabulary_size = manifest.tokenizer.size
        files = manifest.variants[self.variant]  # type: ignore[index]
        self._encoder = _open(str(bundle.file(files.encoder)))
        self._step = _open(str(bundle.file(files.step)))
        states = manifest.state
        self.state_inputs = [f"{name}_PH" for name in states]
        """Names of the step's state inputs, in the order in which states are returned."""
        self._encoded = ["keys_NAS", "memory_NSM", *(f"{name}_NH" for name in states)]
        self._next_states = [f"next_{name}_NKH" for name in states]

    def encode(self, source_NS: NDArray[np.int64], lengths_N: NDArray[np.int32]) -> list[Any]:
        """Run the encoder; return keys_NAS, memory_NSM and the states."""
        feed = {"source_NS": source_NS, "lengths_N": lengths_N}
        return list(self._encoder.run(self._encoded, feed))

    def step(
        self, feed: dict[str, NDArray[Any]], *, with_attention: bool
    ) -> tuple[StepResult, list[Any]]:
        """Run the step; return what may follow, and the next states."""
        names = ["scores_NKC", "tokens_NKC", *self._next_states]
        if with_attention:
            names.append("attention_NKS")
        scores_NKC, tokens_NKC, *rest = self._step.run(names, feed)
        attention_NKS = rest.pop() if with_attention else None
        return StepResult(scores_NKC, tokens_NKC, attention_NKS), rest


def _open(path: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # Workers are the parallelism: two of them scale 1.9 times, whereas the pools of two
    # sessions spin against each other and are slower than one thread.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=[PROVIDER])
