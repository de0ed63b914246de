"""How much of the GPU's memory is in use, as the driver's own library tells it (NVML)."""

import ctypes
import logging
from collections.abc import Callable
from typing import Any

from service import metrics

log = logging.getLogger(__name__)


class _Memory(ctypes.Structure):
    # nvmlMemory_t: bytes, in this order.
    _fields_ = [(name, ctypes.c_ulonglong) for name in ("total", "free", "used")]


def watch_memory(load: Callable[[str], Any] = ctypes.CDLL) -> bool:
    """Let the metrics tell the memory of the first device; return whether it can be told.

    Args:
        load: opens a shared library by name, or raises OSError.
    """
    device = ctypes.c_void_p()
    try:
        library = load("libnvidia-ml.so.1")
    except OSError:
        log.warning("memory of the GPU cannot be told", extra={"reason": "no libnvidia-ml.so.1"})
        return False
    status = library.nvmlInit_v2() or library.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(device))
    if status:
        log.warning("memory of the GPU cannot be told", extra={"reason": f"NVML error {status}"})
        return False

    def tell(kind: str) -> float:
        memory = _Memory()
        library.nvmlDeviceGetMemoryInfo(device, ctypes.byref(memory))
        return float(getattr(memory, kind))

    metrics.GPU_MEMORY.labels("used").set_function(lambda: tell("used"))
    metrics.GPU_MEMORY.labels("total").set_function(lambda: tell("total"))
    return True
