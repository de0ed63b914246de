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
# below it the loss of digits is not worth the time
MIN_GAIN = 1.2
REPEATS = 3


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """Return the context in which the forward pass runs."""
    return torch.autocast(device.type, dtype=DTYPES[precision], enabled=precision != "fp32")


def choose_precision(recipe: Recipe, device: torch.device) -> Precision:
    """Return the recipe's precision, or for `auto` the fastest that pays.

    On a GPU that is fp16 with loss scaling: cuDNN's recurrent kernels know bf16 only in
    recent versions.
    """
    if recipe.training.precision != "auto":
        return recipe.training.precision
    half: Precision = "fp16" if device.type == "cuda" else "bf16"
    try:
        gain = _seconds(recipe, device, "fp32") / _seconds(recipe, device, half)
    except RuntimeError:  # the device has no such kernels
        return "fp32"
    return half if gain >= MIN_GAIN else "fp32"


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
