"""Optimisers by name, and what is cut from gradients before they are followed.

Adam, AdamW and SGD run as one fused kernel for all weights, which also knows without asking the
host whether fp16 overflowed. Adagrad and RMSProp have no such kernel everywhere: on a GPU, torch
takes its kernels for lists of tensors, and with fp16 each step waits to be told.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

from training.recipe import TrainingRecipe

# Vaswani et al. 2017, section 5.3; beta 0.98 forgets the first, wild gradients sooner
BETAS = (0.9, 0.98)
EPSILON = 1e-9
# Hinton 2012, "Neural Networks for Machine Learning", lecture 6e
RMSPROP_DECAY = 0.9


def build_optimiser(network: nn.Module, recipe: TrainingRecipe) -> Optimizer:
    """Return the recipe's optimiser of all weights of a network.

    `weight_decay` shrinks matrices and embeddings only, as is the habit: what has one dimension,
    biases and the gains of norms, is left alone. It is decoupled from the gradient in AdamW
    (Loshchilov & Hutter 2019) and added to it (L2) in all others.
    """
    groups = _groups(network, recipe.weight_decay)
    rate = recipe.learning_rate
    match recipe.optimiser:
        case "adam":
            return Adam(groups, rate, BETAS, EPSILON, fused=True)
        case "adamw":
            return AdamW(groups, rate, BETAS, EPSILON, weight_decay=0.0, fused=True)
        case "sgd":
            return SGD(groups, rate, recipe.momentum, fused=True)
        case "adagrad":
            return Adagrad(groups, rate)
        case "rmsprop":
            return RMSprop(groups, rate, RMSPROP_DECAY)


def set_rate(optimiser: Optimizer, rate: float) -> None:
    """Set the learning rate of the next step."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def clip_gradients(
    parameters: Sequence[nn.Parameter], clip_norm: float | None, clip_value: float | None
) -> tuple[Tensor, Tensor]:
    """Cut each number of the gradient to `clip_value`, then all of it to the norm `clip_norm`.

    Returns:
        The norm before, and whether anything was cut; both stay on the device.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = left = nn.utils.get_total_norm(gradients)
    is_cut = torch.zeros_like(norm, dtype=torch.bool)
    if clip_value is not None:
        is_cut |= nn.utils.get_total_norm(gradients, torch.inf) > clip_value
        nn.utils.clip_grad_value_(parameters, clip_value)
        left = nn.utils.get_total_norm(gradients)
    if clip_norm is not None:
        is_cut |= left > clip_norm
        nn.utils.clip_grads_with_norm_(parameters, clip_norm, left)
    return norm, is_cut


def _groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    parameters = list(network.parameters())
    if weight_decay == 0:
        return [{"params": parameters}]
    return [
        {"params": [each for each in parameters if each.dim() > 1], "weight_decay": weight_decay},
        {"params": [each for each in parameters if each.dim() <= 1], "weight_decay": 0.0},
    ]
