"""Where models run: what the machine has, and which build of ONNX Runtime is installed.

The driver and the installed packages are asked, never ONNX Runtime: the providers it lists
are those it was compiled with, whatever the machine has.
"""

import ctypes
import os
import threading
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

Device = Literal["cpu", "cuda"]
DeviceChoice = Literal["auto", "cpu", "cuda"]
Mode = Literal["throughput", "latency"]

CUDA_LOCK = threading.Lock()
"""Held by whoever uses the device: while one thread captures a graph, another may do nothing."""

_CPU_BUILD, _GPU_BUILD = "onnxruntime", "onnxruntime-gpu"
_REMEDY = "pip install 'dragoman[cpu]', or 'dragoman[gpu-cudnn]' for an NVIDIA GPU"
_NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE


class CannotRun(OSError):
    """The machine or the installation lacks what the settings ask for.

    The message is one sentence for the operator, with the remedy where there is one.
    """


def is_installed(distribution: str) -> bool:
    """Tell whether a distribution is installed in this environment."""
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def check_runtime(is_installed: Callable[[str], bool] = is_installed) -> None:
    """Refuse an environment without a build of ONNX Runtime, or with two.

    Raises:
        CannotRun: none is installed; or two are, which overwrite each other's files.
    """
    found = [name for name in (_CPU_BUILD, _GPU_BUILD) if is_installed(name)]
    if not found:
        raise CannotRun(f"ONNX Runtime is not installed: {_REMEDY}")
    if len(found) == 2:
        raise CannotRun(
            f"{_CPU_BUILD} and {_GPU_BUILD} are both installed and overwrite each other: "
            f"pip uninstall --yes {_CPU_BUILD} {_GPU_BUILD}, then {_REMEDY}"
        )


def choose_device(
    wanted: DeviceChoice,
    *,
    is_installed: Callable[[str], bool] = is_installed,
    load: Callable[[str], Any] = ctypes.CDLL,
) -> Device:
    """Return the device to run on: what is wanted, or for `auto` CUDA if it can be had.

    Args:
        load: opens a shared library by name, or raises OSError.

    Raises:
        CannotRun: CUDA is wanted, and the message tells what is missing.
    """
    if wanted == "cpu":
        return "cpu"
    if is_installed(_GPU_BUILD):
        obstacle = _ask_driver(load)
    else:
        obstacle = "the installed ONNX Runtime is the build for CPUs; install 'dragoman[gpu-cudnn]'"
    if not obstacle:
        return "cuda"
    if wanted == "auto":
        return "cpu"
    raise CannotRun(f"device cuda cannot be had: {obstacle}")


def default_workers(device: Device, mode: Mode) -> int:
    """Return how many decoding workers a model needs to use the device.

    Alone on a GPU, for graphs are captured by one thread. On CPUs one for each core, unless
    all cores serve one worker, so that a single sentence is done sooner.
    """
    if device == "cuda" or mode == "latency":
        return 1
    return len(os.sched_getaffinity(0))


def _ask_driver(load: Callable[[str], Any]) -> str:
    """Return why there is no CUDA device; nothing if there is one."""
    try:
        driver = load("libcuda.so.1")
    except OSError:
        return "the NVIDIA driver is not installed (libcuda.so.1 is missing)"
    status = driver.cuInit(0)
    count = ctypes.c_int(0)
    if status == 0:
        status = driver.cuDeviceGetCount(ctypes.byref(count))
    if status not in {0, _NO_DEVICE}:
        return f"the NVIDIA driver fails with CUDA error {status}"
    return "" if count.value else "the NVIDIA driver sees no device"
