"""The figures that every lecture on recurrent networks shows, computed and not copied.

    a scalar recurrence    h_t = w h_{t-1}: dh_T/dh_t = w^(T-t) vanishes or explodes
    an iterated map        h_t = tanh(w h_{t-1}) ends in one of its fixed points
    the cliff              x_t = w sigmoid(x_{t-1}) + b, the error of its last step

Source: Pascanu et al. 2013, "On the difficulty of training recurrent neural networks", section
2.3 and figure 6 for the cliff: x_0 = 0.5, 50 steps, error (sigmoid(x_50) - 0.7)^2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

STEPS = 50
CLIFF_START, CLIFF_TARGET = 0.5, 0.7
SETTLED = 1e-12


def gradients_of_recurrence(weight: float, steps: int = STEPS) -> list[float]:
    """Return dh_T/dh_t of h_t = w h_{t-1} for t from 0 to T, by back-propagation through time."""
    states = [torch.ones((), dtype=torch.float64, requires_grad=True)]
    for _ in range(steps):
        states.append(weight * states[-1])
    grads = torch.autograd.grad(states[-1], states)
    return [float(grad) for grad in grads]


def iterate(weight: float, start: float, steps: int = STEPS) -> list[float]:
    """Return h_0, h_1, ... of h_t = tanh(w h_{t-1})."""
    found = [start]
    for _ in range(steps):
        found.append(float(np.tanh(weight * found[-1])))
    return found


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """A point that the map leaves where it is."""

    place: float
    slope: float
    """Of the map there: below 1 in size, it draws its neighbours to itself."""

    @property
    def is_stable(self) -> bool:
        """Whether what begins near it ends in it."""
        return abs(self.slope) < 1


def find_fixed_points(weight: float) -> list[FixedPoint]:
    """Return the fixed points of h -> tanh(w h), in order.

    Zero is always one. Above w = 1 there are two more, one the mirror of the other.
    """
    places = [0.0]
    if weight > 1:
        low, high = 1e-9, 1.0
        while high - low > SETTLED:
            middle = (low + high) / 2
            low, high = (middle, high) if np.tanh(weight * middle) > middle else (low, middle)
        places = [-high, 0.0, high]
    return [FixedPoint(h, weight * (1 - float(np.tanh(weight * h)) ** 2)) for h in places]


def cobweb(points: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return the corners of the stairs between the map and the diagonal, as x and y."""
    x, y = [points[0]], [0.0]
    for before, after in pairwise(points):
        x += [before, after]
        y += [after, after]
    return x, y


@dataclass(frozen=True, slots=True)
class Slope:
    """The error of the cliff's recurrence at one place, and how steep it is there."""

    error: float
    gradient: tuple[float, float]
    """By w and by b."""

    @property
    def norm(self) -> float:
        """Of the gradient."""
        return float(np.hypot(*self.gradient))


def climb(weight: float, bias: float, steps: int = STEPS) -> Slope:
    """Return error and gradient at a place of the cliff."""
    w, b = (
        torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (weight, bias)
    )
    error = _error(w, b, steps)
    by_w, by_b = torch.autograd.grad(error, (w, b))
    return Slope(error.item(), (by_w.item(), by_b.item()))


def survey(
    weights: NDArray[np.float64], biases: NDArray[np.float64], steps: int = STEPS
) -> NDArray[np.float64]:
    """Return the error at every weight (a column each) and bias (a row each)."""
    w, b = torch.from_numpy(weights)[None, :], torch.from_numpy(biases)[:, None]
    return np.asarray(_error(w, b, steps).numpy(), dtype=np.float64)


def cliff_edge(weight: float) -> float:
    """Return the bias at which the recurrence starts in a fixed point that repels it.

    x_0 = w sigmoid(x_0) + b: on one side of it all ends low, on the other high, and at it the
    gradient grows by w sigmoid'(x_0) with each step.

    Raises:
        ValueError: the weight is too small for that point to repel.
    """
    share = 1 / (1 + float(np.exp(-CLIFF_START)))
    if weight * share * (1 - share) <= 1:
        raise ValueError(f"weight {weight:g} has no cliff: above {1 / share / (1 - share):.3f}")
    return CLIFF_START - weight * share


def _error(w: Tensor, b: Tensor, steps: int) -> Tensor:
    x = torch.full_like(w * b, CLIFF_START)
    for _ in range(steps):
        x = w * x.sigmoid() + b
    return (x.sigmoid() - CLIFF_TARGET) ** 2
