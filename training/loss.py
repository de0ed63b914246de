"""Label-smoothed cross-entropy that never holds all logits at once.

The output layer is the largest product of a small translator and its logits are the
largest tensor. This loss walks over the tokens in chunks and makes the gradients while a
chunk is in cache: half the time of `linear` plus `cross_entropy` on two CPU cores
(3,900 tokens, V 8,000, E 256: 240 ms against 470 ms, forward and backward, bf16).

Shapes: N target tokens of a batch, flat; P passes over them; C tokens in a chunk of each pass.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

CHUNK = 256
"""Tokens in one chunk of all passes; 256 x V in fp32 stays near the last cache, V up to 16,000."""

ChunkLoss = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Makes of `logits_PCV` and `targets_C` their summed loss and its gradient by the logits."""


class _ChunkedLoss(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0913, PLR0917  # autograd wants each by itself
        ctx: Any,  # noqa: ANN401
        hidden_PNE: Tensor,
        weight_VE: Tensor,
        bias_V: Tensor,
        targets_N: Tensor,
        chunk_loss: ChunkLoss,
        scale: Tensor | None,
    ) -> Tensor:
        device = hidden_PNE.device.type
        dtype = (
            torch.get_autocast_dtype(device)
            if torch.is_autocast_enabled(device)
            else hidden_PNE.dtype
        )
        hidden, weight, bias = hidden_PNE.to(dtype), weight_VE.to(dtype), bias_V.to(dtype)
        d_hidden = torch.empty_like(hidden_PNE)
        d_weight, d_bias = torch.zeros_like(weight_VE), torch.zeros_like(bias_V)
        total = torch.zeros((), dtype=wide(dtype), device=hidden.device)
        passes = len(hidden)
        size = CHUNK // passes
        with torch.autocast(device, enabled=False):
            for start in range(0, len(targets_N), size):
                rows = slice(start, start + size)
                read = hidden[:, rows].flatten(0, 1)
                logits = torch.addmm(bias, read, weight.t()).reshape(passes, -1, len(weight))
                loss, d_logits_PCV = chunk_loss(logits, targets_N[rows])
                total += loss
                d_logits = d_logits_PCV.flatten(0, 1)
                if scale is not None:
                    d_logits *= scale
                d_bias += d_logits.sum(0).to(d_bias.dtype)
                d_logits = d_logits.to(dtype)
                d_hidden[:, rows] = (d_logits @ weight).reshape(hidden[:, rows].shape)
                d_weight += d_logits.t() @ read
        ctx.save_for_backward(d_hidden, d_weight, d_bias, scale)
        return total

    @staticmethod
    def backward(
        ctx: Any,  # noqa: ANN401
        d_total: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, None, None, None]:
        d_hidden, d_weight, d_bias, scale = ctx.saved_tensors
        factor = d_total if scale is None else d_total / scale
        return d_hidden * factor, d_weight * factor, d_bias * factor, None, None, None


def chunked_loss(  # one output layer, one text, one loss
    hidden_PNE: Tensor,
    weight_VE: Tensor,
    bias_V: Tensor,
    targets_N: Tensor,
    chunk_loss: ChunkLoss,
    scale: Tensor | None,
) -> Tensor:
    """Return the summed loss of predicting `targets_N` in each pass, chunk by chunk.

    Its gradient is computed along with it, so call it only to train.

    Args:
        scale: as for `smoothed_cross_entropy`.
    """
    return _ChunkedLoss.apply(hidden_PNE, weight_VE, bias_V, targets_N, chunk_loss, scale)  # type: ignore[no-any-return, no-untyped-call]


def smoothed_cross_entropy(
    hidden_NE: Tensor,
    weight_VE: Tensor,
    bias_V: Tensor,
    targets_N: Tensor,
    smoothing: float,
    scale: Tensor | None = None,
) -> Tensor:
    """Return the summed loss of predicting `targets_N` from `hidden_NE`, in nats.

    The probability `smoothing` is spread evenly over the whole vocabulary, the right token
    included. Its gradient is computed along with it, so call it only to train.

    Args:
        scale: what the loss will be multiplied with before `backward`. Half precision must know
            it beforehand: most of the gradient's numbers are near 1 / V, the smaller of which
            fp16 holds as zero. Where they overflow instead, the gradient is infinite, of which
            a `GradScaler` takes care as ever.

    Source: Szegedy et al. 2016, "Rethinking the Inception Architecture", section 7;
    Micikevicius et al. 2018, "Mixed Precision Training", section 3.2, for the scale.
    """
    chunk_loss = partial(_cross_entropy, smoothing=smoothing)
    return chunked_loss(hidden_NE[None], weight_VE, bias_V, targets_N, chunk_loss, scale)


def wide(dtype: torch.dtype) -> torch.dtype:
    """Return what sums and probabilities are held in: single precision at least."""
    return torch.promote_types(dtype, torch.float32)


def _cross_entropy(
    logits_1CV: Tensor, targets_C: Tensor, smoothing: float
) -> tuple[Tensor, Tensor]:
    log_p = torch.log_softmax(logits_1CV, -1, dtype=wide(logits_1CV.dtype))
    share, targets = smoothing / log_p.shape[-1], targets_C[None, :, None]
    right = log_p.gather(-1, targets)
    loss = -((1 - smoothing) * right.sum() + share * log_p.sum())
    # d loss / d logits = p - (what the smoothed target asks for)
    d_logits = log_p.exp_().sub_(share)
    return loss, d_logits.scatter_add_(-1, targets, torch.full_like(right, smoothing - 1))
