"""The graphs of a bundle on ONNX Runtime: the one module that knows of sessions and providers.

Which device is used is decided before (`device.py`); here it is held to: a session that got
another provider than it was meant to have is refused.
"""

import contextlib
import io
import os
import threading
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.bundle import Bundle, VariantName
from models.shortlist import Shortlists, open_shortlists
from service.engine.device import CUDA_LOCK, CannotRun, Device, check_runtime
from service.engine.hypothesis import StepResult

# Before the import, which fails without a build of ONNX Runtime and misleads with two.
check_runtime()

import onnxruntime  # noqa: E402

GraphName = Literal["encoder", "step", "greedy", "beam", "join", "columns", "shortlist_step"]
VariantChoice = Literal["auto", "fp32", "int8", "fp16"]
ShortlistChoice = Literal["auto", "on", "off"]

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
"""What of ONNX Runtime runs on a device."""

# First the one that is fastest there.
_PREFERRED: dict[Device, tuple[VariantName, ...]] = {
    "cpu": ("int8", "fp32", "fp16"),
    "cuda": ("fp16", "fp32"),
}

# The severity of errors: ONNX Runtime warns of what cannot happen, as two joining at one place.
_ERROR = 3
# Adds the mask within an operator that asks for cuDNN, which decoding does without.
_DISABLED_OPTIMISERS = ["BiasSoftmaxFusion"]
_CUDA_SETTINGS = {
    # What graphs of many shapes leave behind is not doubled.
    "arena_extend_strategy": "kSameAsRequested",
    # fp32 is the reference, on the GPU too.
    "use_tf32": "0",
}


class Sessions:
    """The graphs of a bundle, ready to run; any number of batches may share them.

    Args:
        shortlist: let each sentence choose among the tokens that may translate its source;
            `auto`: if the variant has shortlists.
        latency: let all sessions of this process share one pool of threads over all cores. A
            process that has begun so cannot go back.

    Raises:
        CannotRun: the bundle lacks the variant, the device does not run it, or ONNX Runtime
            cannot use the device.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: Device = "cpu",
        variant: VariantChoice = "auto",
        shortlist: ShortlistChoice = "auto",
        latency: bool = False,
    ) -> None:
        manifest = bundle.manifest
        self._bundle, self._is_latency = bundle, latency
        self.device = device
        self.provider = PROVIDERS[device]
        """What of ONNX Runtime runs the graphs."""
        self.variant = choose_variant(bundle, device, variant)
        """Which rendering of the network this is."""
        self.vocabulary_size = manifest.tokenizer.size
        self.states = tuple(manifest.state)
        """Names of the state tensors, without their shape letters."""
        self.state_inputs = [f"{name}_PH" for name in self.states]
        """Names of the step's state inputs, in the order in which states are returned."""
        self._encoded = ["keys_NAS", "memory_NSM", *(f"{name}_NH" for name in self.states)]
        self._next_states = [f"next_{name}_NKH" for name in self.states]
        self._opened: dict[tuple[GraphName, bool], onnxruntime.InferenceSession] = {}
        self.shortlists = choose_shortlists(bundle, self.variant, shortlist)
        """Which tokens a sentence chooses among, if not all; the step wants columns then."""
        self._encoder = self.open("encoder")
        if self.shortlists is None:
            self._step = self.open("step")
        else:
            self._step, self._columns = self.open("shortlist_step"), self.open("columns")

    def open(self, graph: GraphName, *, capture: bool = False) -> onnxruntime.InferenceSession:
        """Open a graph of the variant, or return it if it has been opened so.

        Args:
            capture: prepare it for capture as a CUDA graph, every node on the device.

        Raises:
            CannotRun: the bundle does not have this graph.
        """
        if (graph, capture) not in self._opened:
            self._opened[graph, capture] = self._open(graph, capture=capture)
        return self._opened[graph, capture]

    def _open(self, graph: GraphName, *, capture: bool) -> onnxruntime.InferenceSession:
        file = getattr(self._bundle.manifest.variants[self.variant], graph)
        if file is None:
            raise CannotRun(
                f"variant {self.variant} of {self._bundle.identity} has no {graph} graph for "
                f"{self.device}: export it again"
            )
        path = self._bundle.file(file)
        return open_session(path, self.device, latency=self._is_latency, capture=capture)

    def encode(self, source_NS: NDArray[np.int64], lengths_N: NDArray[np.int32]) -> list[Any]:
        """Run the encoder; return keys_NAS, memory_NSM and the states."""
        feed = {"source_NS": source_NS, "lengths_N": lengths_N}
        return list(self._encoder.run(self._encoded, feed))

    def step(
        self, feed: dict[str, NDArray[Any]], *, with_attention: bool = False
    ) -> tuple[StepResult, list[Any]]:
        """Run the step; return what may follow, and the next states."""
        names = ["scores_NKC", "tokens_NKC", *self._next_states]
        if with_attention:
            names.append("attention_NKS")
        scores_NKC, tokens_NKC, *rest = self._step.run(names, feed)
        attention_NKS = rest.pop() if with_attention else None
        return StepResult(scores_NKC, tokens_NKC, attention_NKS), rest

    def columns(self, ids_U: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Gather the output layer's columns for some tokens; return them as the step's inputs."""
        names = ["output_EU", "scale_U", "bias_U"]
        return dict(zip(names, self._columns.run(names, {"ids_U": ids_U}), strict=True))


def choose_variant(bundle: Bundle, device: Device, wanted: VariantChoice) -> VariantName:
    """Return the variant to run: the one wanted, or the fastest on this device.

    Raises:
        CannotRun: the bundle does not have it, or the device does not run it.
    """
    has = bundle.manifest.variants
    usable = [name for name in _PREFERRED[device] if wanted in {"auto", name}]
    if not usable:
        raise CannotRun(f"variant {wanted} does not run on {device}")
    for name in usable:
        if name in has:
            return name
    raise CannotRun(
        f"{bundle.identity} has no variant {' or '.join(usable)}, only {', '.join(sorted(has))}"
    )


def choose_shortlists(
    bundle: Bundle, variant: VariantName, wanted: ShortlistChoice
) -> Shortlists | None:
    """Return the shortlists of a variant, or None if it has none or none are wanted.

    Raises:
        CannotRun: they are wanted, but it has none.
        DamagedBundle: they are not those of the vocabulary.
    """
    file = bundle.manifest.variants[variant].shortlists
    if wanted == "on" and file is None:
        raise CannotRun(f"variant {variant} of {bundle.identity} has no shortlists")
    return None if wanted == "off" or file is None else open_shortlists(bundle, file)


class _SharedPool:
    """The threads that all sessions of the process share once one wants them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_open = False

    def apply(self, options: onnxruntime.SessionOptions, *, shared: bool) -> None:
        """Give a session its threads.

        Raises:
            CannotRun: it wants its own, but the process has begun to share.
        """
        with self._lock:
            if shared and not self._is_open:
                onnxruntime.set_global_thread_pool_sizes(len(os.sched_getaffinity(0)), 1)
                self._is_open = True
        if self._is_open and not shared:
            raise CannotRun("this process decodes in latency mode and cannot go back")
        if shared:
            options.use_per_session_threads = False
        else:
            # Workers are the parallelism: two of them scale 1.9 times, whereas the pools of two
            # sessions spin against each other and are slower than one thread.
            options.intra_op_num_threads = options.inter_op_num_threads = 1


# ONNX Runtime has one such pool for a process, so there is one of these.
_POOL = _SharedPool()


def open_session(
    path: Path, device: Device = "cpu", *, latency: bool = False, capture: bool = False
) -> onnxruntime.InferenceSession:
    """Open a graph on a device.

    Args:
        latency: use the threads that the whole process shares.
        capture: let runs be captured as CUDA graphs; every node must be on the device.

    Raises:
        CannotRun: ONNX Runtime cannot use the device.
    """
    options = onnxruntime.SessionOptions()
    _POOL.apply(options, shared=latency)
    if device == "cpu":
        return _open(path, options, PROVIDERS["cpu"], {})
    settings = dict(_CUDA_SETTINGS)
    if capture:
        settings["enable_cuda_graph"] = "1"
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    with CUDA_LOCK:
        return _open_on_cuda(path, options, settings)


def _open_on_cuda(
    path: Path, options: onnxruntime.SessionOptions, settings: dict[str, str]
) -> onnxruntime.InferenceSession:
    provider = PROVIDERS["cuda"]
    if provider not in onnxruntime.get_available_providers():
        raise CannotRun("device cuda cannot be had: this ONNX Runtime is a build for CPUs")
    complaints = io.StringIO()
    with contextlib.redirect_stdout(complaints):
        onnxruntime.preload_dlls()  # the CUDA libraries may be Python packages
    onnxruntime.set_default_logger_severity(_ERROR)
    try:
        session = _open(path, options, provider, settings)
    except Exception as failure:  # ONNX Runtime's own have no common base
        reason = str(failure).partition("\n")[0]
        raise CannotRun(f"device cuda cannot be had: {reason}") from failure
    if session.get_providers()[0] != provider:
        reason = " ".join(complaints.getvalue().split()) or "its log tells why"
        raise CannotRun(f"device cuda cannot be had: ONNX Runtime fell back to the CPU; {reason}")
    return session


def _open(
    path: Path, options: onnxruntime.SessionOptions, provider: str, settings: dict[str, str]
) -> onnxruntime.InferenceSession:
    # Without fallback, or it would print a banner and carry on elsewhere.
    return onnxruntime.InferenceSession(
        str(path),
        options,
        providers=[(provider, settings)],
        enable_fallback=0,
        disabled_optimizers=_DISABLED_OPTIMISERS,
    )
