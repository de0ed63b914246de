"""An experiment: a task, a network and a budget, written down as the recipe that carries it out."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from training.kinds import CellKind
from training.laboratory.tasks import TASKS
from training.laboratory.texts import PARTS, draw_part, write_pairs
from training.run import Run, parse_recipe
from training.variation import vary

LANGUAGES = ("qaa", "qab")
"""Of questions and of answers; ISO 639-2 keeps these codes for local use."""
HELD_OUT = 1000
"""Pairs of dev and of test, at most."""
TEXTS = "texts"
NAMED = ("size", "layers", "pairs", "steps", "seed")
"""What of a budget stands in a name."""
RECIPE = "recipe.toml"
_NO_NAME = re.compile("[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Budget:
    """What is learnt from, for how long, and with what network."""

    pairs: int
    steps: int
    size: int
    """Units of each layer; half as many in each direction of the encoder."""
    layers: int = 1
    """Of the encoder."""
    rate: float = 0.004
    batch_tokens: int = 2000
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Experiment:
    """A task, learnt by a network of one kind of cell."""

    task: str
    cell: CellKind
    length: int
    budget: Budget
    network: Mapping[str, object]
    """Keys of `[network]` that differ from those here."""
    variant: str = ""
    """What else tells it from others of the task."""

    @property
    def name(self) -> str:
        """Of its run and its bundle: experiments that differ in anything have different ones."""
        sizes = asdict(self.budget) | {"length": self.length}
        wished = [f"{key}{sizes[key]:g}" for key in ("length", *NAMED)]
        odd = [f"{key} {value}" for key, value in self.network.items()]
        parts = ["lab", self.task, self.variant, self.cell, *odd, *wished]
        return _NO_NAME.sub("-", " ".join(part for part in parts if part).lower()).strip("-")


def open_experiment(experiment: Experiment, runs: Path) -> Run:
    """Draw the text of an experiment and write its recipe; return its run.

    The same experiment has the same text, so it goes on where it was interrupted.
    """
    folder = runs / experiment.name
    task, budget = TASKS[experiment.task], experiment.budget
    for part in PARTS:
        path = folder / TEXTS / f"{part}.tsv"
        count = budget.pairs if part == "train" else HELD_OUT
        if not path.exists():
            pairs = draw_part(lambda r: task.draw(r, experiment.length), part, count, budget.seed)
            write_pairs(path, pairs)
    trained = [{"name": task.name, "tsv": f"{TEXTS}/train.tsv"}]
    return write_recipe(experiment, trained, folder)


def write_recipe(
    experiment: Experiment, trained: Sequence[Mapping[str, object]], folder: Path
) -> Run:
    """Write the recipe of an experiment into its folder; return the run that lives there.

    Args:
        trained: The training texts, without what all of them share.
    """
    recipe = {
        "name": experiment.name,
        "version": 1,
        "corpus": _corpus(trained),
        "tokenizer": {"kind": "char", "size": 400, "normalisation": "NFC"},
        "network": _network(experiment),
        "training": _training(experiment.budget),
        "export": _export(),
    }
    toml = vary("", recipe)
    path = folder / RECIPE
    parsed = parse_recipe(toml, str(path))
    path.write_text(toml, encoding="utf-8")
    return Run(parsed, toml, folder, folder, folder / "bundles")


def _corpus(trained: Sequence[Mapping[str, object]]) -> dict[str, Any]:
    shared = {"languages": list(LANGUAGES), "licence": "none needed: generated"}
    held_out = {"languages": list(LANGUAGES), "protocols": ["detok", "exact"]}
    return {
        "directions": [list(LANGUAGES)],
        "leaks": "pair",
        # what differs in signs only is the same to the check, and another program here
        "on_leak": "drop",
        "cleaning": {
            "max_words": 1000,
            "max_ratio": 1000.0,
            "min_ratio_characters": 1000,
            "min_letters": 0,
        },
        "train": [{**shared, **text} for text in trained],
        "dev": [{"name": "dev", "tsv": f"{TEXTS}/dev.tsv", **held_out}],
        "tests": [{"name": "test", "tsv": f"{TEXTS}/test.tsv", **held_out}],
    }


def _network(experiment: Experiment) -> dict[str, Any]:
    size, layers = experiment.budget.size, experiment.budget.layers
    return {
        "cell": experiment.cell,
        "attention": "general",
        # a sum is of two digits: 2,000 steps came to 79 % with one head, at a rate of 0.003, and
        # to 97 % with two, at 0.004
        "attention_heads": 2,
        "embedding_size": size,
        "encoder_layers": layers,
        "encoder_size": size // 2,
        "decoder_layers": max(2, layers),
        "decoder_size": size,
        "tying": "none",
        **experiment.network,
    }


def _training(budget: Budget) -> dict[str, Any]:
    return {
        "seed": budget.seed,
        "precision": "fp32",
        "batch_tokens": budget.batch_tokens,
        "learning_rate": budget.rate,
        "schedule": "trapezoid",
        "warmup_steps": min(100, budget.steps),
        "decay_steps": budget.steps // 2 if budget.steps > 200 else 0,
        "max_steps": budget.steps,
        "clip_norm": 1.0,
        "ema_decay": 0.98,
        "validate_steps": min(200, budget.steps),
        "validation_sentences": HELD_OUT,
        "patience": budget.steps,
        "chosen_by": "exact",
    }


def _export() -> dict[str, Any]:
    return {
        "publish": False,
        "beams": [1],
        "length_penalties": [1.0],
        "sweep_sentences": 200,
        "calibration_sentences": 0,
        "parity_sentences": 200,
        "variants": ["fp32"],
        "max_source_tokens": 512,
    }
