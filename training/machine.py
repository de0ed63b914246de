"""What a training ran on, in the words a model card uses."""

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
