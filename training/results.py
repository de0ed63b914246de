"""What a recipe achieves: the scores of its bundle, and of the bundles of its other seeds.

published bundle, or that in runs/NAME/ --+
                                          +--> Result --> results/NAME.json beside the recipe
bundles in runs/NAME-seed-*/ -------------+               (seeds of other machines stay there)

A bundle that may not be published leaves its figures here, and these are all that is left.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from models.bundle import Bundle, Score
from training.recipe import Recipe
from training.record import Record
from training.run import SEED, parse_recipe


class Repetition(Record):
    """What a recipe came to with one seed."""

    seed: int
    recipe_sha256: str = ""
    """Of what the recipe said of learning, but for the seed; see `fingerprint`."""
    steps: int
    minutes: float
    machine: str
    scores: tuple[Score, ...]
    """Of the tests, with the search that the bundle chose."""


class Result(Record):
    """What a recipe came to; its own seed is first."""

    recipe: str
    version: int
    parameters: int
    repetitions: tuple[Repetition, ...]


def read_recipe(path: Path) -> Recipe:
    """Parse a recipe, to tell what it is measured on.

    Raises:
        ValueError: it cannot be read, or is no recipe.
    """
    try:
        return parse_recipe(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise ValueError(f"{path}: {error}") from None


def collect_result(recipe: Recipe, runs: Path, bundles: Path) -> Result | None:
    """Return what the bundle of a recipe and those of its other seeds scored, if there is one.

    Raises:
        DamagedBundle: one of them cannot be trusted.
    """
    name, version = recipe.name, str(recipe.version)
    own = bundles if recipe.export.publish else runs / name / "bundles"
    others = sorted(runs.glob(f"{name}{SEED}*/bundles"))
    found = [root / name / version for root in (own, *others) if (root / name / version).exists()]
    if not found:
        return None
    opened = [Bundle.open(folder) for folder in found]
    return Result(
        recipe=name,
        version=recipe.version,
        parameters=opened[0].manifest.architecture.parameters,
        repetitions=_ordered(map(_repetition, opened), recipe),
    )


def fingerprint(recipe: Recipe) -> str:
    """Return a hash of what a recipe learns and how, whatever its seed and its comments."""
    sections = recipe.model_dump(
        mode="json",
        exclude_defaults=True,
        include={"corpus", "tokenizer", "network", "training", "distillation"},
        exclude={"training": {"seed"}},
    )
    return hashlib.sha256(json.dumps(sections, sort_keys=True).encode()).hexdigest()


def add_kept(found: Result, kept: Result | None, recipe: Recipe) -> Result:
    """Return a result with the seeds that were kept, too, if the same recipe taught them.

    Seeds can be trained on several machines, and weights need not outlive their figures.
    """
    seeds = {one.seed for one in found.repetitions}
    others = [
        one
        for one in (kept.repetitions if kept else ())
        if one.seed not in seeds and one.recipe_sha256 == fingerprint(recipe)
    ]
    repetitions = _ordered([*found.repetitions, *others], recipe)
    return found.model_copy(update={"repetitions": repetitions})


def result_file(path: Path) -> Path:
    """Return where the result of a recipe or an ablation is kept, given its own file."""
    return path.parent / "results" / f"{path.stem}.json"


def load_result(path: Path) -> Result | None:
    """Return the result that is kept beside a recipe, if there is one."""
    kept = result_file(path)
    return Result.read(kept) if kept.exists() else None


def _ordered(repetitions: Iterable[Repetition], recipe: Recipe) -> tuple[Repetition, ...]:
    """Return them by seed, that of the recipe first."""
    own = recipe.training.seed
    return tuple(sorted(repetitions, key=lambda one: (one.seed != own, one.seed)))


def _repetition(bundle: Bundle) -> Repetition:
    manifest = bundle.manifest
    training = manifest.provenance.training
    recipe = parse_recipe(manifest.provenance.recipe, str(bundle.path))
    return Repetition(
        seed=recipe.training.seed,
        recipe_sha256=fingerprint(recipe),
        steps=training.steps,
        minutes=training.minutes,
        machine=training.machine,
        scores=tuple(_chosen(bundle)),
    )


def _chosen(bundle: Bundle) -> Iterator[Score]:
    decoding = bundle.manifest.decoding
    for score in bundle.manifest.scores:
        is_greedy = score.beam == decoding.beam == 1
        if is_greedy or (score.beam, score.length_penalty) == (
            decoding.beam,
            decoding.length_penalty,
        ):
            yield score
