"""How fast this machine trains a network: a few real steps of the real trainer, timed."""

import contextlib
import time
from dataclasses import dataclass

import torch

from training.batches import plan_epoch
from training.corpus import HeldOut, load_dev
from training.evaluate import validate
from training.prepare import Prepared
from training.progress import Position, Window
from training.run import Run
from training.sizes import Pace
from training.trainer import Trainer

WARM_UP_STEPS = 3
"""What is set up at first use must not be taken for the pace."""
STEPS = 10
SECONDS = 10.0
"""After which fewer steps must do."""
SENTENCES = 32
"""That are translated to time the validation. A network that knows nothing ends no sentence
before the limit, so this is more than it will take."""


class _Enough(Exception):  # not a failure, the way out of the loop
    pass


@dataclass(slots=True)
class _Watch:
    device: torch.device
    started: float = 0.0
    steps: int = 0
    seconds: float = 0.0

    def on_step(self, position: Position, _: Window) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)  # it has only been told what to do
        now = time.perf_counter()
        if position.step <= WARM_UP_STEPS:
            self.started = now
            return
        self.steps, self.seconds = position.step - WARM_UP_STEPS, now - self.started
        if self.steps == STEPS or self.seconds > SECONDS:
            raise _Enough


def measure_pace(run: Run, device: torch.device) -> Pace:
    """Train a few steps of a prepared run and forget them; nothing is saved.

    The recipe must allow for so many steps before its first validation.

    Raises:
        ValueError: the run is not prepared.
    """
    prepared = Prepared(run)
    training = run.recipe.training
    started = time.perf_counter()
    examples = prepared.examples(0)
    plan = plan_epoch(examples, training.batch_tokens, training.seed)
    between_seconds = time.perf_counter() - started
    trainer, watch = Trainer(run, device), _Watch(device)
    with contextlib.suppress(_Enough):
        trainer.train(watch.on_step)
    trainer.close()
    return Pace(
        step_seconds=watch.seconds / watch.steps,
        pass_steps=len(plan),
        pass_tokens=int(examples.target.offsets[-1]) - len(examples.target),
        between_seconds=between_seconds,
        sentence_seconds=_time_validation(trainer, prepared, run),
    )


def _time_validation(trainer: Trainer, prepared: Prepared, run: Run) -> float:
    dev: list[HeldOut] = load_dev(run, SENTENCES)
    started = time.perf_counter()
    validate(trainer.network, prepared.tokenizer, run, dev)
    return (time.perf_counter() - started) / sum(len(text.sources) for text in dev)
