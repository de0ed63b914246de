"""Where a run stands, how it has gone since the last validation, and when it will be over."""

import time
from dataclasses import dataclass

import torch

from training.learner import Lesson
from training.recipe import TrainingRecipe

CANDIDATES = 3
"""That dev chooses from at the end of a run that averages its best checkpoints."""


@dataclass(slots=True)
class Position:
    """Where a run stands."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    """Batches of this epoch that are done."""
    best_bleu: float = -1.0
    """Or of whatever dev chooses by."""
    best_step: int = 0
    validations_since_best: int = 0
    seconds: float = 0.0
    """Spent training and validating, over all interruptions."""
    tokens: int = 0
    """Target tokens learnt from."""
    seconds_validating: float = 0.0
    """Of `seconds`."""
    validations: int = 0
    rate_cuts: int = 0
    """How often a plateau has lowered the learning rate."""
    validations_waited: int = 0
    """Without a better dev BLEU, since the best or since the rate was lowered."""
    choice: str = ""
    """The weights that dev chose when the run was over; nothing before."""
    choice_bleu: float = -1.0

    def judge(self, bleu: float, *, takes_equal: bool = False) -> bool:
        """Count a validation; tell whether it is the best so far.

        Args:
            takes_equal: Whether one as good as the best is better, having learnt for longer: where
                dev is wholly right, nothing else would tell them apart.
        """
        is_best = bleu > self.best_bleu or (takes_equal and bleu == self.best_bleu)
        self.validations += 1
        self.choice, self.choice_bleu = "", -1.0
        if is_best:
            self.best_bleu, self.best_step = bleu, self.step
            self.validations_since_best = self.validations_waited = 0
        else:
            self.validations_since_best += 1
            self.validations_waited += 1
        return is_best

    def cut_rate(self) -> None:
        """Count that a plateau has lowered the learning rate."""
        self.rate_cuts += 1
        self.validations_waited = 0

    @property
    def tokens_per_second(self) -> float:
        """Target tokens of a second of training, validations aside."""
        return self.tokens / max(1e-9, self.seconds - self.seconds_validating)


class Window:
    """Sums since the last line of metrics. They stay on the device until somebody reads them."""

    def __init__(self, device: torch.device) -> None:
        self._sums = torch.zeros(3, dtype=torch.float64, device=device)
        self._tokens = self._steps = 0
        self._started = time.perf_counter()

    def add(self, lesson: Lesson, tokens: int) -> None:
        """Count a step; a norm that is no number was that of a step that fp16 left out."""
        norm = lesson.norm.nan_to_num(nan=0.0, posinf=0.0)
        self._sums += torch.stack([lesson.loss, norm, lesson.is_clipped])
        self._tokens += tokens
        self._steps += 1

    def summary(self) -> dict[str, float]:
        """Return the means: loss in nats per token, clip rate, tokens per second.

        Waits until the device has done all steps.
        """
        loss, norm, clipped = self._sums.tolist()
        steps, tokens = max(1, self._steps), max(1, self._tokens)
        return {
            "loss": loss / tokens,
            "gradient_norm": norm / steps,
            "clip_rate": clipped / steps,
            "tokens_per_second": self._tokens / (time.perf_counter() - self._started),
        }


def seconds_left(position: Position, recipe: TrainingRecipe) -> float | None:
    """Return how long a run will last if it is not over sooner, its validations included.

    None before anything was measured. Until the first validation, none is counted.
    """
    if position.step == 0:
        return None
    steps = recipe.max_steps - position.step
    # the last step is validated too, whether or not its turn has come
    validations = max(0, -(-recipe.max_steps // recipe.validate_steps) - position.validations)
    if recipe.average_best:
        validations += CANDIDATES
    a_step = (position.seconds - position.seconds_validating) / position.step
    a_validation = position.seconds_validating / max(1, position.validations)
    return steps * a_step + validations * a_validation
