"""Equal bits from equal runs, on the same kind of machine and with the same versions."""

import os

import torch

THREADS = 2
"""Whatever the machine has: how a sum is shared among threads decides how it is rounded."""
WORKSPACE = ":16:8"
"""cuBLAS's, in the form that both the recurrent kernels and matrix products ask for."""


def make_deterministic() -> None:
    """Let this process use only operations whose results do not depend on chance.

    Call it before anything runs on a GPU. An operation that has no such form fails and says so.

    Source: PyTorch's notes on reproducibility, and those of `torch.nn.LSTM`.
    """
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = WORKSPACE
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.set_num_threads(THREADS)
