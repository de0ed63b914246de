"""The training loop.

    plan of the epoch -> batch -> loss -> clip -> Adam -> average of the weights
          every so often:  validate the average -> metrics.jsonl, best.pt, last.pt

A run that was interrupted goes on from `last.pt` with the same batches, the same random
numbers and the same losses as if nothing had happened.
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor, nn

from service.evaluation import Metric
from training import checkpoint
from training.batches import Batch, make_batch, plan_epoch
from training.corpus import load_dev
from training.evaluate import validate
from training.inherit import inherit_network
from training.network import Network
from training.precision import Precision, autocast, choose_precision
from training.prepare import Prepared
from training.recipe import Run, TrainingRecipe

# Vaswani et al. 2017, section 5.3; beta 0.98 forgets the first, wild gradients sooner
BETAS = (0.9, 0.98)
EPSILON = 1e-9
AVERAGE_WARMUP = 10.0
"""Early averages follow the weights: decay is at most (1 + step) / (10 + step)."""


@dataclass(slots=True)
class Position:
    """Where a run stands."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    """Batches of this epoch that are done."""
    best_bleu: float = -1.0
    best_step: int = 0
    validations_since_best: int = 0
    seconds: float = 0.0
    """Spent training and validating, over all interruptions."""
    tokens: int = 0
    """Target tokens learnt from."""


@dataclass(slots=True)
class Window:
    """Sums since the last line of metrics."""

    loss: float = 0.0
    tokens: int = 0
    steps: int = 0
    clipped: int = 0
    norm: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    def summary(self) -> dict[str, float]:
        """Return the means: loss in nats per token, clip rate, tokens per second."""
        steps, tokens = max(1, self.steps), max(1, self.tokens)
        return {
            "loss": self.loss / tokens,
            "gradient_norm": self.norm / steps,
            "clip_rate": self.clipped / steps,
            "tokens_per_second": self.tokens / (time.perf_counter() - self.started),
        }


OnStep = Callable[[Position, dict[str, float]], None]
"""Is told where the run stands and the means since the last validation."""
OnValidation = Callable[[Position, dict[str, float]], None]
"""Is told the same, with `dev_bleu` and the BLEU of each direction, as `source-target`."""


class Trainer:
    """One run, from its checkpoint or from the beginning."""

    def __init__(self, run: Run, device: torch.device) -> None:
        self._run = run
        self._recipe: TrainingRecipe = run.recipe.training
        self._device = device
        torch.manual_seed(self._recipe.seed)
        self._prepared = Prepared(run)
        self.network = _first_network(run, self._prepared).to(device)
        self._average = Network(run.recipe.network, self._prepared.tokenizer.size).to(device)
        self._average.load_state_dict(self.network.state_dict())
        self._optimiser = torch.optim.Adam(
            self.network.parameters(),
            lr=self._recipe.learning_rate,
            betas=BETAS,
            eps=EPSILON,
            fused=True,
        )
        self.position = Position()
        self.precision: Precision = choose_precision(run.recipe, device)
        self._scaler = self._make_scaler()
        self._dev = load_dev(run, self._recipe.validation_sentences)
        self._window = Window()
        if (last := run.checkpoints / "last.pt").exists():
            self._restore(checkpoint.load(last))

    def train(
        self,
        on_step: OnStep = lambda position, summary: None,
        on_validation: OnValidation = lambda position, summary: None,
    ) -> Position:
        """Train until `max_steps`, or until dev BLEU has not risen for `patience` validations."""
        batches = self._batches()
        # asked first: a run that is over must not segment and plan one more epoch
        while not self._is_over():
            started = time.perf_counter()
            self._step(next(batches))
            self.position.seconds += time.perf_counter() - started
            on_step(self.position, self._window.summary())
            if self.position.step % self._recipe.validate_steps == 0 or self._is_last():
                on_validation(self.position, self._validate())
                self._save()
        return self.position

    def _make_scaler(self) -> torch.amp.GradScaler:
        return torch.amp.GradScaler(self._device.type, enabled=self.precision == "fp16")

    def _batches(self) -> Iterator[Batch]:
        while True:
            examples = self._prepared.examples(self.position.epoch)
            seed = self._recipe.seed + self.position.epoch
            plan = plan_epoch(examples, self._recipe.batch_tokens, seed)
            for indices in plan[self.position.batch :]:
                # counted before it is used: what is saved after it must not do it again
                self.position.batch += 1
                yield make_batch(examples, indices, self._device)
            self.position.epoch += 1
            self.position.batch = 0

    def _is_last(self) -> bool:
        return self.position.step >= self._recipe.max_steps

    def _is_over(self) -> bool:
        return self._is_last() or self.position.validations_since_best >= self._recipe.patience

    def _step(self, batch: Batch) -> None:
        self.network.train()
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(self._recipe, self.position.step)
        with autocast(self._device, self.precision):
            loss = self.network.loss(
                batch.source_BS,
                batch.lengths_B,
                batch.target_BT,
                self._recipe.label_smoothing,
                self._recipe.r_drop,
            )
        self._optimiser.zero_grad(set_to_none=True)
        self._scaler.scale(loss / batch.tokens).backward()  # type: ignore[no-untyped-call]
        self._scaler.unscale_(self._optimiser)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self._recipe.clip_norm)
        self._scaler.step(self._optimiser)
        self._scaler.update()
        self.position.step += 1
        self.position.tokens += batch.tokens
        self._follow()
        self._count(batch, loss, norm)

    def _follow(self) -> None:
        """Move the average towards the weights (Polyak & Juditsky 1992, exponentially)."""
        step = self.position.step
        decay = min(self._recipe.ema_decay, (1 + step) / (AVERAGE_WARMUP + step))
        pairs = zip(self._average.parameters(), self.network.parameters(), strict=True)
        with torch.no_grad():
            for average, parameter in pairs:
                average.lerp_(parameter, 1 - decay)

    def _count(self, batch: Batch, loss: Tensor, norm: Tensor) -> None:
        total = loss.item()
        if not math.isfinite(total):
            raise ValueError(
                f"the loss is {total} at step {self.position.step}: "
                f"training.learning_rate {self._recipe.learning_rate} may be too high"
            )
        self._window.loss += total
        self._window.tokens += batch.tokens
        self._window.steps += 1
        self._window.norm += norm.item() if torch.isfinite(norm) else 0.0
        self._window.clipped += bool(norm > self._recipe.clip_norm)

    def _validate(self) -> dict[str, float]:
        summary = self._window.summary()
        started = time.perf_counter()
        metrics = validate(self._average, self._prepared.tokenizer, self._run, self._dev)
        self.position.seconds += time.perf_counter() - started
        bleus = {direction: scores[0].score for direction, scores in metrics.items()}
        bleu = sum(bleus.values()) / len(bleus)
        if bleu > self.position.best_bleu:
            self.position.best_bleu, self.position.best_step = bleu, self.position.step
            self.position.validations_since_best = 0
            checkpoint.save(self._published(), self._run.checkpoints / "best.pt")
        else:
            self.position.validations_since_best += 1
        summary["dev_bleu"] = bleu
        self._write_metrics(summary, metrics)
        self._window = Window()
        return summary | bleus

    def _write_metrics(self, summary: dict[str, float], metrics: dict[str, list[Metric]]) -> None:
        line = {
            **asdict(self.position),
            "learning_rate": learning_rate(self._recipe, self.position.step),
            **summary,
            "dev": {
                direction: [asdict(metric) for metric in scores]
                for direction, scores in metrics.items()
            },
        }
        with (self._run.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _published(self) -> checkpoint.State:
        return {"network": self._average.state_dict(), "position": asdict(self.position)}

    def _save(self) -> None:
        state = {
            "network": self.network.state_dict(),
            "average": self._average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "scaler": self._scaler.state_dict(),
            "position": asdict(self.position),
            "precision": self.precision,
            "random": _random_state(self._device),
            "fixed": self._fixed(),
        }
        checkpoint.save(state, self._run.checkpoints / "last.pt")

    def _restore(self, state: checkpoint.State) -> None:
        if state["fixed"] != self._fixed():
            raise ValueError(
                f"{self._run.checkpoints} was trained with another corpus, tokenizer, network "
                "or seed: name the recipe differently, or remove the folder"
            )
        self.network.load_state_dict(state["network"])
        self._average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.position = Position(**state["position"])
        self.precision = state["precision"]
        self._scaler = self._make_scaler()
        self._scaler.load_state_dict(state["scaler"])
        _set_random_state(state["random"], self._device)

    def _fixed(self) -> str:
        """What must not change within a run. The length of training may."""
        sections = self._run.recipe.model_dump(
            mode="json", include={"corpus", "tokenizer", "network"}
        )
        return json.dumps([sections, self._recipe.seed, self._recipe.batch_tokens], sort_keys=True)


def load_best(run: Run) -> tuple[Network, Position, int]:
    """Return the best network of a run, where it was found, and the steps of an epoch.

    Raises:
        ValueError: nothing was trained, or the checkpoint is damaged.
    """
    best = checkpoint.load(run.checkpoints / "best.pt")
    prepared = Prepared(run)
    network = Network(run.recipe.network, prepared.tokenizer.size)
    network.load_state_dict(best["network"])
    examples = prepared.examples(0)
    training = run.recipe.training
    steps = len(plan_epoch(examples, training.batch_tokens, training.seed))
    return network.eval(), Position(**best["position"]), steps


def _first_network(run: Run, prepared: Prepared) -> Network:
    if run.recipe.training.init_from is not None:
        return inherit_network(run, prepared.tokenizer)
    return Network(run.recipe.network, prepared.tokenizer.size)


def learning_rate(recipe: TrainingRecipe, step: int) -> float:
    """Return the rate of the step after `step` steps.

    Both schedules rise linearly for `warmup_steps`. Then `inverse_sqrt` falls with the root
    of the steps, and `trapezoid` stays until the last `decay_steps`, in which it falls
    linearly to zero.

    Source: Vaswani et al. 2017, equation 3; Haegele et al. 2024, "Scaling Laws and
    Compute-Optimal Training Beyond Fixed Training Durations", section 3.
    """
    rising = (step + 1) / recipe.warmup_steps
    if rising < 1:
        return recipe.learning_rate * rising
    if recipe.schedule == "inverse_sqrt":
        return recipe.learning_rate / math.sqrt(rising)
    left = (recipe.max_steps - step) / max(1, recipe.decay_steps)
    return recipe.learning_rate * max(0.0, min(1.0, left))


def _random_state(device: torch.device) -> list[Tensor]:
    states = [torch.get_rng_state()]
    return states + ([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])


def _set_random_state(states: list[Tensor], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    if device.type == "cuda" and len(states) > 1:
        torch.cuda.set_rng_state(states[1], device)
