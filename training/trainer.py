"""The training loop.

    plan of the epoch -> batch -> step of the learner
          every so often:  validate the moving average -> metrics.jsonl, best.pt, last.pt
          at the end:      dev chooses between that average and the mean of the best checkpoints

A run that was interrupted goes on from `last.pt` with the same batches, the same random
numbers and the same losses as if nothing had happened. Several processes may run it together
(`ranks.py`): each learns from its share of every batch.
"""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import asdict
from functools import partial

import torch
from torch import Tensor

from service.evaluation import Metric
from training import checkpoint
from training.averaging import KeptCheckpoints, Weights
from training.batches import Epoch, plan_epoch
from training.corpus import load_dev
from training.determinism import make_deterministic
from training.epochs import Epochs
from training.evaluate import validate
from training.inherit import inherit_network
from training.kinds import Criterion
from training.learner import Learner
from training.machine import describe_machine, keep_freed_memory
from training.network import Batch, Network
from training.precision import Precision, choose_precision
from training.prepare import Prepared
from training.progress import Position, Window
from training.protocol import EXACT
from training.ranks import ALONE, Ranks
from training.recipe import TrainingRecipe
from training.run import Run
from training.samples import Sample, keep_samples, write_samples
from training.schedules import learning_rate
from training.sections import dump_sections, reread_sections

CHECK_STEPS = 50
"""A loss that is no number is found after so many steps, and before anything is saved."""
MOVING_AVERAGE = "moving average"

Scores = dict[str, list[Metric]]
OnStep = Callable[[Position, Window], None]
"""Is told where the run stands, and what can tell the means since the last validation."""
OnValidation = Callable[[Position, dict[str, float]], None]
"""Is told the means, `dev_bleu` (or `dev_exact`) and what that is the mean of, by direction, as
`source-target`."""


class Trainer:
    """One run, from its checkpoint or from the beginning.

    Args:
        ranks: which of the processes this is that train together.
    """

    def __init__(self, run: Run, device: torch.device, ranks: Ranks = ALONE) -> None:
        self._run = run
        self._recipe: TrainingRecipe = run.recipe.training
        self._device, self._ranks = device, ranks
        if self._recipe.deterministic:
            make_deterministic()
        if device.type == "cpu":
            keep_freed_memory()
        torch.manual_seed(self._recipe.seed)
        self._prepared = Prepared(run)
        self._epochs = Epochs(run, self._prepared, is_ahead=device.type == "cuda")
        network = _first_network(run, self._prepared).to(device)
        average = Network(run.recipe.network, self._prepared.tokenizer.size).to(device)
        self._learner = Learner(self._recipe, network, average, device, ranks)
        self._learner.learn_in(ranks.ask_first(partial(choose_precision, run.recipe, device)))
        self._kept = KeptCheckpoints(run.checkpoints / "kept", self._recipe.average_best)
        self._dev = load_dev(run, self._recipe.validation_sentences)
        self._window = Window(device)
        self.position = Position()
        if not ranks.is_first:  # the same weights, other dropout
            torch.manual_seed(self._recipe.seed + ranks.rank)
        if (last := run.checkpoints / "last.pt").exists():
            self._restore(checkpoint.load(last))

    @property
    def network(self) -> Network:
        """What is trained."""
        return self._learner.network

    @property
    def precision(self) -> Precision:
        """The number format of the forward pass."""
        return self._learner.precision

    @property
    def machine(self) -> str:
        """What it is trained on."""
        return describe_machine(self._ranks.count)

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that validates, writes and prints."""
        return self._ranks.is_first

    def train(
        self,
        on_step: OnStep = lambda position, window: None,
        on_validation: OnValidation = lambda position, summary: None,
    ) -> Position:
        """Train until `max_steps`, or until dev BLEU has not risen for `patience` validations."""
        batches = self._batches()
        # asked first: a run that is over must not segment and plan one more epoch
        while not self._is_over():
            self._step(batches)
            on_step(self.position, self._window)
            if self.position.step % CHECK_STEPS == 0:
                self._summarise()
            if self.position.step % self._recipe.validate_steps == 0 or self._is_last():
                on_validation(self.position, self._validate())
                self._save()
        self._epochs.close()
        if self._recipe.average_best and not self.position.choice:
            self.position = self._ranks.ask_first(self._choose)
            self._save()
        return self.position

    def close(self) -> None:
        """Let go of what was begun for the next epoch; for those who stop in the middle of one."""
        self._epochs.close()

    def _batches(self) -> Iterator[Batch]:
        while True:
            # drawn by one of the processes: all need the same
            make = partial(self._epochs.examples, self.position.epoch)
            examples = self._ranks.ask_first(make)
            seed = self._recipe.seed + self.position.epoch
            plan = plan_epoch(examples, self._recipe.batch_tokens, seed)
            epoch = Epoch(examples, plan, self._device)
            for index in range(self.position.batch, len(epoch)):
                # counted before it is used: what is saved after it must not do it again
                self.position.batch += 1
                yield epoch.batch(index, self._ranks.share)
            self.position.epoch += 1
            self.position.batch = 0

    def _is_last(self) -> bool:
        return self.position.step >= self._recipe.max_steps

    def _is_over(self) -> bool:
        return self._is_last() or self.position.validations_since_best >= self._recipe.patience

    def _rate(self) -> float:
        return learning_rate(self._recipe, self.position.step, self.position.rate_cuts)

    def _step(self, batches: Iterator[Batch]) -> None:
        started = time.perf_counter()
        batch = next(batches)
        lesson = self._learner.step(batch, self._rate())
        self._window.add(lesson, batch.tokens)
        self.position.step += 1
        self.position.tokens += batch.tokens
        self.position.seconds += time.perf_counter() - started

    def _summarise(self) -> dict[str, float]:
        summary = self._window.summary()
        if not math.isfinite(summary["loss"]):
            raise ValueError(
                f"the loss is {summary['loss']} at step {self.position.step} or shortly before: "
                f"training.learning_rate {self._recipe.learning_rate} may be too high"
            )
        return summary

    def _validate(self) -> dict[str, float]:
        cuts, summary = self.position.rate_cuts, self._summarise()
        self.position, summary = self._ranks.ask_first(partial(self._judge, summary))
        if self.position.rate_cuts > cuts:
            # data and random numbers go on as they are
            self._learner.turn_back(checkpoint.load(self._run.checkpoints / "turn.pt"))
        self._window = Window(self._device)
        return summary

    def _judge(self, summary: dict[str, float]) -> tuple[Position, dict[str, float]]:
        """Validate the moving average, keep it if it is the best, and write down how it went."""
        samples: list[Sample] = []
        bleu, scores = self._measure(self._learner.average, samples)
        if self.position.judge(bleu, takes_equal=self._recipe.chosen_by == "exact"):
            self._save_best(self._learner.average.state_dict())
            if self._recipe.schedule == "plateau":
                checkpoint.save(self._learner.state(), self._run.checkpoints / "turn.pt")
        elif self.position.validations_waited == self._recipe.plateau_patience:
            self.position.cut_rate()
        if self._recipe.average_best:
            self._kept.offer(self.position.step, bleu, self._learner.weights())
        write_samples(self._run.folder, self.position.step, samples)
        summary[f"dev_{self._recipe.chosen_by}"] = bleu
        self._write_metrics({"learning_rate": self._rate(), **summary}, scores)
        return self.position, summary | _by_direction(scores, self._recipe.chosen_by)

    def _measure(
        self, network: Network, samples: list[Sample] | None = None
    ) -> tuple[float, Scores]:
        """Return the mean over the directions of what dev chooses by, and all scores."""
        started = time.perf_counter()
        keep = partial(keep_samples, [] if samples is None else samples)
        scores = validate(network, self._prepared.tokenizer, self._run, self._dev, keep)
        seconds = time.perf_counter() - started
        self.position.seconds += seconds
        self.position.seconds_validating += seconds
        found = _by_direction(scores, self._recipe.chosen_by)
        return sum(found.values()) / len(found), scores

    def _choose(self) -> Position:
        """Let dev decide what is exported, once no more is learnt."""
        found: dict[str, tuple[float, Scores]] = {}
        candidates, network = self._candidates(), deepcopy(self._learner.average)
        network.to(self._device)  # lays a copy's recurrent weights out as cuDNN wants them
        for name, weights in candidates.items():
            network.load_state_dict(weights)
            found[name] = self._measure(network)
        bleu_by_name = {name: bleu for name, (bleu, _) in found.items()}
        # the first among equals
        choice = max(bleu_by_name, key=bleu_by_name.__getitem__, default=MOVING_AVERAGE)
        self.position.choice = choice
        self.position.choice_bleu = bleu_by_name.get(choice, self.position.best_bleu)
        if candidates:
            self._save_best(candidates[choice])
            found_best = {f"dev_{self._recipe.chosen_by}": bleu_by_name[choice]}
            summary = {**found_best, "candidates": bleu_by_name}
            self._write_metrics(summary, found[choice][1])
        return self.position

    def _candidates(self) -> dict[str, Weights]:
        """Return what dev chooses from; nothing if there is no choice."""
        count = len(self._kept)
        if count < 2:
            return {}
        candidates = {
            MOVING_AVERAGE: self._kept.load(self._kept.best_step, "average"),
            f"mean of the {count} best moving averages": self._kept.mean("average"),
        }
        if self._recipe.ema_decay:  # without it the moving averages are the weights
            candidates[f"mean of the weights of the {count} best"] = self._kept.mean("network")
        return candidates

    def _write_metrics(self, found: Mapping[str, object], scores: Scores) -> None:
        line = {
            **asdict(self.position),
            **found,
            "dev": {
                direction: [asdict(metric) for metric in metrics]
                for direction, metrics in scores.items()
            },
        }
        with (self._run.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _save_best(self, weights: Weights) -> None:
        state = {"network": weights, "position": asdict(self.position), "machine": self.machine}
        checkpoint.save(state, self._run.checkpoints / "best.pt")

    def _save(self) -> None:
        random = self._ranks.collect(_random_state(self._device))
        if not self.is_first:
            return
        state = {
            **self._learner.state(),
            "position": asdict(self.position),
            "random": random,
            "kept": self._kept.bleu_by_step,
            "fixed": self._fixed(),
        }
        checkpoint.save(state, self._run.checkpoints / "last.pt")
        self._kept.forget_others()

    def _restore(self, state: checkpoint.State) -> None:
        sections, training = json.loads(state["fixed"])
        if [reread_sections(sections), training] != json.loads(self._fixed()):
            raise ValueError(
                f"{self._run.checkpoints} was trained with another corpus, tokenizer, network, "
                "optimiser, schedule or seed: name the recipe differently, or remove the folder"
            )
        self._learner.load(state)
        self.position = Position(**state["position"])
        self._kept.bleu_by_step = state["kept"]
        if self._ranks.rank < len(state["random"]):  # else there were fewer processes
            _set_random_state(state["random"][self._ranks.rank], self._device)

    def _fixed(self) -> str:
        """What must not change within a run. The length of training may."""
        sections = dump_sections(self._run.recipe, "corpus", "tokenizer", "network")
        names = {"seed", "batch_tokens", "optimiser", "momentum", "weight_decay", "schedule"}
        return json.dumps([sections, self._recipe.model_dump(include=names)], sort_keys=True)


def load_best(run: Run) -> tuple[Network, Position, int, str]:
    """Return the best network of a run, where it was found, the steps of an epoch, the machine.

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
    return network.eval(), Position(**best["position"]), steps, best["machine"]


def _first_network(run: Run, prepared: Prepared) -> Network:
    if run.recipe.training.init_from is not None:
        return inherit_network(run, prepared.tokenizer)
    return Network(run.recipe.network, prepared.tokenizer.size)


def _by_direction(scores: Scores, criterion: Criterion) -> dict[str, float]:
    name = EXACT if criterion == "exact" else "BLEU"
    return {
        direction: next(metric.score for metric in metrics if metric.name == name)
        for direction, metrics in scores.items()
    }


def _random_state(device: torch.device) -> list[Tensor]:
    states = [torch.get_rng_state()]
    return states + ([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])


def _set_random_state(states: list[Tensor], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    if device.type == "cuda" and len(states) > 1:
        torch.cuda.set_rng_state(states[1], device)
