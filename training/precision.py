"""Which number format trains fastest here, found by trying.

A CPU with AVX512-BF16 trains two to three times as fast in bf16 as in fp32; one without
is slower in it. No list of devices is kept: one layer of the network's size is timed.
"""

import time
from contextlib import AbstractContextManager
from typing import Literal

import torch
from torch import nn

from training.recipe import Recipe

Precision = Literal["fp32", "bf16", "fp16"]
DTYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
BF16_CUDNN = 91300
"""9.13 (pytorch/pytorch#164411, in every version of PyTorch that is asked for here)."""
# below it the loss of digits is not worth the time
MIN_GAIN = 1.2
REPEATS = 3


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """Return the context in which the forward pass runs."""
    return torch.autocast(device.type, dtype=DTYPES[precision], enabled=precision != "fp32")


def allow_tf32(device: torch.device) -> None:
    """Let fp32 products on a GPU round what they multiply to 10 bits, as cuDNN does anyway.

    The recurrent kernels do so unless told otherwise; for all other products this does.
    """
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")


def choose_precision(recipe: Recipe, device: torch.device) -> Precision:
    """Return the recipe's precision, or for `auto` the fastest that pays."""
    if recipe.training.precision != "auto":
        return recipe.training.precision
    seconds: dict[Precision, float] = {}
    cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    for precision in list_halves(device, cudnn):
        try:
            seconds[precision] = _seconds(recipe, device, precision)
        except RuntimeError:  # the device has no such kernels
            continue
    best = min(seconds, key=seconds.__getitem__, default=None)
    if best is None or _seconds(recipe, device, "fp32") < MIN_GAIN * seconds[best]:
        return "fp32"
    return best


def list_halves(device: torch.device, cudnn: int | None) -> list[Precision]:
    """Return the half precisions that are worth a try.

    On a GPU always fp16, with loss scaling. Before version BF16_CUDNN, cuDNN's recurrent kernels
    knew no bf16, and what torch does in their place takes many times as long.

    Args:
        cudnn: its version, if there is one.
    """
    if device.type != "cuda":
        return ["bf16"]
    return ["bf16", "fp16"] if cudnn is not None and cudnn >= BF16_CUDNN else ["fp16"]


def _seconds(recipe: Recipe, device: torch.device, precision: Precision) -> float:
    """Return the shortest of a few steps of one decoder layer and one product."""
    network, steps = recipe.network, 12
    rows = max(1, recipe.training.batch_tokens // steps)
    with torch.random.fork_rng():  # the training's own random numbers stay what they were
        layer = nn.GRU(network.embedding_size, network.decoder_size).to(device)
        output = nn.Linear(network.decoder_size, recipe.tokenizer.size).to(device)
        x = torch.randn(steps, rows, network.embedding_size, device=device)
        times: list[float] = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            with autocast(device, precision):
                loss = output(layer(x)[0]).float().mean()
            loss.backward()
            loss.item()
            times.append(time.perf_counter() - start)
    return min(times)
