"""How much of what a layer remembers at the end still hangs on what it knew before.

    x_1 .. x_T -> one step after the other -> h_T;   |dh_T / ds_t| for every t before it

Where the norm falls to nothing, no error at T teaches anything about t; where it grows, one step
of training undoes many (Bengio et al. 1994; Hochreiter 1991; Pascanu et al. 2013, section 2).

The state s is all that a layer carries on: of an LSTM its cell too, which is what lets gradients
pass. The norm is Frobenius', divided by the square root of the outputs, so that a layer that
carries everything on unchanged has 1.
"""

from typing import Protocol

import torch
from torch import Tensor

State = tuple[Tensor, ...]


class Layer(Protocol):
    """A recurrent layer in one direction, as `cells.py` builds them."""

    def __call__(self, x_BTD: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Return the outputs for all positions and the state after the last."""


def flow_back(
    layer: Layer, x_TD: Tensor, start: State | None = None, outputs: int | None = None
) -> list[float]:
    """Return the norm of dh_T/ds_t for t from 1 to T; of the last, h_T by itself, it is 1.

    Args:
        x_TD: what the layer reads.
        start: its state before, of one row; none begins as the layer does.
        outputs: How many of the layer's outputs tell of all, evenly chosen; all if left out.
    """
    with torch.no_grad():
        _, state = layer(x_TD[None, :1], start)
    units = state[0].shape[1]
    size = min(units, outputs or units)
    picked = torch.linspace(0, units - 1, size).round().long()
    # one row for each output, so that one pass backwards gives every row of the Jacobian
    states = [tuple(part.detach().expand(size, -1).contiguous() for part in state)]
    for part in states[0]:
        part.requires_grad_()
    with torch.enable_grad():
        for x_D in x_TD[1:]:
            _, state = layer(x_D.detach().expand(size, 1, -1).contiguous(), states[-1])
            # copied: of what is in several states, each counts only what it does from there on
            states.append(tuple(part.clone() for part in state))
        said = states[-1][0][torch.arange(size), picked].sum()
        flat = [part for state in states for part in state]
        grads = torch.autograd.grad(said, flat, allow_unused=True)
    return _norms(states, grads, size)


def _norms(states: list[State], grads: tuple[Tensor | None, ...], size: int) -> list[float]:
    found: list[float] = []
    left = iter(grads)
    for state in states:
        squares = [grad.square().sum() for grad in (next(left) for _ in state) if grad is not None]
        found.append(float((sum(squares, torch.zeros(())) / size) ** 0.5))
    return found
