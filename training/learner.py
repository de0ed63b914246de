"""What learns: the weights, their moving average and the optimiser. It knows no corpus and no run.

    batch -> loss -> gradients, of all processes -> clip -> optimiser -> moving average

Nothing in a step waits for the device but, with fp16, an optimiser that is not fused. Steps are
not captured as CUDA graphs: batches have as many shapes as there are pairs of lengths, each
capture would hold memory of its own, and what a token budget saves on padding would be given up
to have few of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from training.averaging import Weights
from training.network import Batch, Network
from training.optimisers import build_optimiser, clip_gradients, set_rate
from training.precision import Precision, allow_tf32, autocast
from training.ranks import Ranks
from training.recipe import TrainingRecipe
from training.schedules import teacher_share

AVERAGE_WARMUP = 10.0
"""Early averages follow the weights: decay is at most (1 + step) / (10 + step)."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a step found; all of it is still on the device."""

    loss: Tensor
    """Sum over the batch, of all processes, in nats."""
    norm: Tensor
    """Of the gradient, before it was clipped."""
    is_clipped: Tensor


class Learner:
    """A network and all that changes when it learns.

    Args:
        average: a network of the same shape, which will be the moving average.
    """

    def __init__(
        self,
        recipe: TrainingRecipe,
        network: Network,
        average: Network,
        device: torch.device,
        ranks: Ranks,
    ) -> None:
        self._recipe, self._device, self._ranks = recipe, device, ranks
        allow_tf32(device)
        self.network, self.average = network, average
        self.average.load_state_dict(self.network.state_dict())
        self._parameters = list(self.network.parameters())
        self._averages = list(self.average.parameters())
        self.optimiser = build_optimiser(self.network, self._recipe)
        self.steps = 0
        """Taken so far."""
        self.learn_in("fp32")

    def learn_in(self, precision: Precision) -> None:
        """Set the number format of the forward pass; fp16 starts with a new loss scale."""
        self.precision = precision
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=precision == "fp16")

    def step(self, batch: Batch, rate: float) -> Lesson:
        """Learn from a batch, or from this process's share of it."""
        self.network.train()
        loss = self._make_gradients(batch)
        self._scaler.unscale_(self.optimiser)
        norm, is_clipped = clip_gradients(
            self._parameters, self._recipe.clip_norm, self._recipe.clip_value
        )
        set_rate(self.optimiser, rate)
        self._scaler.step(self.optimiser)
        self._scaler.update()
        self.steps += 1
        self._follow()
        return Lesson(loss, norm, is_clipped)

    def weights(self) -> dict[str, Weights]:
        """Return the weights and their moving average."""
        return {"network": self.network.state_dict(), "average": self.average.state_dict()}

    def state(self) -> dict[str, Any]:
        """Return all that `load` needs to go on from here."""
        return {
            **self.weights(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self._scaler.state_dict(),
            "precision": self.precision,
            "steps": self.steps,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.turn_back(state)
        self.learn_in(state["precision"])
        self._scaler.load_state_dict(state["scaler"])
        self.steps = state["steps"]

    def turn_back(self, state: Mapping[str, Any]) -> None:
        """Take the weights and the optimiser of a state; the loss scale stays as it has become."""
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])

    def _make_gradients(self, batch: Batch) -> Tensor:
        """Set the gradients to those of the mean loss of all processes; return its sum."""
        self.optimiser.zero_grad(set_to_none=True)
        one = torch.ones((), device=self._device)
        scale = self._scaler.scale(one) / batch.tokens
        loss = torch.zeros_like(one)
        if len(batch.source_BS):
            loss = self._loss(batch, scale if self._scaler.is_enabled() else None)
            (loss * scale).backward()  # type: ignore[no-untyped-call]
        return self._ranks.add_up(self._parameters, loss.detach())

    def _loss(self, batch: Batch, scale: Tensor | None) -> Tensor:
        """Return the summed loss of a batch."""
        with autocast(self._device, self.precision):
            return self.network.loss(
                batch,
                self._recipe.label_smoothing,
                self._recipe.r_drop,
                scale,
                teacher_share(self._recipe, self.steps),
            )

    def _follow(self) -> None:
        """Move the average towards the weights (Polyak & Juditsky 1992, exponentially)."""
        decay = min(self._recipe.ema_decay, (1 + self.steps) / (AVERAGE_WARMUP + self.steps))
        follow = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        follow(self._averages, self._parameters, self.steps)
