"""R-Drop: two passes under different dropout must agree, beside being right.

    pass 1 -> logits z -> p --+--> mean of both smoothed cross-entropies
    pass 2 -> logits w -> q --+--> + strength * (KL(p||q) + KL(q||p)) / 4

This is half of the paper's loss, so that it compares with that of one pass; `strength` is its
alpha. Like the loss of one pass (`loss.py`) it never holds all logits: it walks over the tokens in
chunks and makes the gradients while a chunk is in cache.

Shapes: N target tokens of one pass, flat; C of them in a chunk; 2 passes.

Source: Liang et al. 2021, "R-Drop: Regularized Dropout for Neural Networks", equations 2 to 4.
"""

from typing import Any

import torch
from torch import Tensor

from training.loss import CHUNK


class _ChunkedRDrop(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0913, PLR0917  # autograd wants each by itself
        ctx: Any,  # noqa: ANN401
        hidden_2NE: Tensor,
        weight_VE: Tensor,
        bias_V: Tensor,
        targets_N: Tensor,
        options: tuple[float, float],
        scale: Tensor | None,
    ) -> Tensor:
        device = hidden_2NE.device.type
        dtype = (
            torch.get_autocast_dtype(device)
            if torch.is_autocast_enabled(device)
            else hidden_2NE.dtype
        )
        hidden, weight, bias = hidden_2NE.to(dtype), weight_VE.to(dtype), bias_V.to(dtype)
        d_hidden = torch.empty_like(hidden_2NE)
        d_weight, d_bias = torch.zeros_like(weight_VE), torch.zeros_like(bias_V)
        total = torch.zeros((), dtype=_wide(dtype), device=hidden.device)
        with torch.autocast(device, enabled=False):
            for start in range(0, len(targets_N), CHUNK // 2):
                rows = slice(start, start + CHUNK // 2)
                read = hidden[:, rows].flatten(0, 1)
                logits = torch.addmm(bias, read, weight.t()).reshape(2, -1, len(weight))
                loss, d_logits_2CV = _chunk(logits, targets_N[rows], *options)
                total += loss
                d_logits = d_logits_2CV.flatten(0, 1)
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


def r_drop_loss(  # noqa: PLR0913  # one output layer, one text, two strengths
    hidden_2NE: Tensor,
    weight_VE: Tensor,
    bias_V: Tensor,
    targets_N: Tensor,
    smoothing: float,
    strength: float,
    *,
    scale: Tensor | None = None,
) -> Tensor:
    """Return the summed loss of predicting `targets_N` twice, in nats.

    Its gradient is computed along with it, so call it only to train.

    Args:
        hidden_2NE: what the output layer reads, of both passes over the same tokens.
        smoothing: probability that is spread evenly over the whole vocabulary.
        strength: weight of the disagreement, alpha in the paper.
        scale: what the loss will be multiplied with before `backward`; see `loss.py`.
    """
    options = smoothing, strength
    return _ChunkedRDrop.apply(hidden_2NE, weight_VE, bias_V, targets_N, options, scale)  # type: ignore[no-any-return, no-untyped-call]


def _chunk(
    logits_2CV: Tensor, targets_C: Tensor, smoothing: float, strength: float
) -> tuple[Tensor, Tensor]:
    """Return the loss of a chunk and its gradient by the logits."""
    log_p = torch.log_softmax(logits_2CV, -1, dtype=_wide(logits_2CV.dtype))
    p = log_p.exp()
    share, targets = smoothing / log_p.shape[-1], targets_C.expand(2, -1)[..., None]
    right = log_p.gather(-1, targets)
    cross_entropy = -(1 - smoothing) * right.sum() - share * log_p.sum()
    # of KL(p||q) by the logits of p: p (log p - log q - KL(p||q)); of KL(q||p): p - q
    apart = log_p - log_p.flip(0)
    divergence = (p * apart).sum(-1, keepdim=True)
    d_divergence = p * (apart - divergence) + p - p.flip(0)
    # of the cross-entropy: p - (what the smoothed target asks for)
    d_logits = (p - share).scatter_add_(-1, targets, torch.full_like(right, smoothing - 1))
    d_logits.add_(d_divergence, alpha=strength / 2).div_(2)
    return cross_entropy / 2 + strength / 4 * divergence.sum(), d_logits


def _wide(dtype: torch.dtype) -> torch.dtype:
    """Return what sums and probabilities are held in: single precision at least."""
    return torch.promote_types(dtype, torch.float32)
