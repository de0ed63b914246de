"""What a training runs on: in the words a model card uses, and made ready for it."""

import ctypes
import os
import platform

import torch


def describe_machine(processes: int = 1) -> str:
    """Return the class of this machine, and how much of it this training has.

    Args:
        processes: How many train together on it.
    """
    if torch.cuda.is_available():
        return f"{'one' if processes == 1 else processes} {torch.cuda.get_device_name()}"
    cores, used = os.cpu_count() or 1, torch.get_num_threads() * processes
    share = f"{used} of {cores}" if used < cores else f"{cores}"
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{share} CPU cores ({platform.machine()}, {capability})"


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_KEPT = 32 << 20
"""Bytes; glibc takes no larger threshold."""


def keep_freed_memory() -> bool:
    """Let the C library keep what tensors on the CPU give back; return whether it does.

    glibc asks the system for each large block and gives it back when it is freed, so that every
    step of training had its pages cleared and mapped anew: 4 to 8 % of the time of a small
    network. Other C libraries have no such switch, and go on as they are.

    Source: mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    limits = {M_MMAP_THRESHOLD: LARGEST_KEPT, M_TRIM_THRESHOLD: (1 << 31) - 1}
    return all(mallopt(name, limit) == 1 for name, limit in limits.items())
