"""What a recipe achieves: the scores of its bundle, and of the bundles of its other seeds.

published bundle, or that in runs/NAME/ --+
                                          +--> Result --> results/NAME.json beside the recipe
bundles in runs/NAME-seed-*/ -------------+

A bundle that may not be published leaves its figures here, and these are all that is left.
"""

import tomllib
from collections.abc import Iterator
from pathlib import Path

from models.bundle import Bundle, Score
from training.recipe import Recipe
from training.record import Record
from training.run import SEED, parse_recipe


class Repetition(Record):
    """What a recipe came to with one seed."""

    seed: int
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
    repetitions = sorted(map(_repetition, opened), key=lambda one: one.seed)
    repetitions.sort(key=lambda one: one.seed != recipe.training.seed)
    return Result(
        recipe=name,
        version=recipe.version,
        parameters=opened[0].manifest.architecture.parameters,
        repetitions=tuple(repetitions),
    )


def result_file(path: Path) -> Path:
    """Return where the result of a recipe or an ablation is kept, given its own file."""
    return path.parent / "results" / f"{path.stem}.json"


def load_result(path: Path) -> Result | None:
    """Return the result that is kept beside a recipe, if there is one."""
    kept = result_file(path)
    return Result.read(kept) if kept.exists() else None


def _repetition(bundle: Bundle) -> Repetition:
    manifest = bundle.manifest
    training = manifest.provenance.training
    return Repetition(
        seed=tomllib.loads(manifest.provenance.recipe)["training"].get("seed", 1),
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
