"""R-Drop: two passes under different dropout must agree, beside being right.

    pass 1 -> logits z -> p --+--> mean of both smoothed cross-entropies
    pass 2 -> logits w -> q --+--> + strength * (KL(p||q) + KL(q||p)) / 4

This is half of the paper's loss, so that it compares with that of one pass; `strength` is its
alpha. Like the loss of one pass (`loss.py`) it never holds all logits: it walks over the tokens in
chunks and makes the gradients while a chunk is in cache.

Shapes: N target tokens of one pass, flat; C of them in a chunk; 2 passes.

Source: Liang et al. 2021, "R-Drop: Regularized Dropout for Neural Networks", equations 2 to 4.
"""

from functools import partial

import torch
from torch import Tensor

from training.loss import chunked_loss, wide


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
    chunk_loss = partial(_agreement, smoothing=smoothing, strength=strength)
    return chunked_loss(hidden_2NE, weight_VE, bias_V, targets_N, chunk_loss, scale)


def _agreement(
    logits_2CV: Tensor, targets_C: Tensor, smoothing: float, strength: float
) -> tuple[Tensor, Tensor]:
    """Return the loss of a chunk and its gradient by the logits."""
    log_p = torch.log_softmax(logits_2CV, -1, dtype=wide(logits_2CV.dtype))
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
