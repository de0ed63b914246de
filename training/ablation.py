"""What each option of a recipe is worth: the same training again, with one thing changed.

    ablation-*.toml -> base and rows, each a whole recipe -> every one trained on the same budget
                    -> dev BLEU, greedily, beside the base

A trial is one row with one seed. It leaves its recipe, its metrics and its result behind, and
is not trained again while these say the same. Test sets are never looked at.
"""

import shutil
import statistics
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from training.record import Record
from training.run import Run, open_run, parse_recipe
from training.speeds import Speeds
from training.text_recipe import Section
from training.variation import vary

BASE = "base"
"""The row that changes nothing, beside which the others are set."""
RESULT = "result.json"

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
Values = dict[str, Any]


class Budget(Section):
    """What every trial may use: steps, or minutes of training and validating."""

    steps: int | None = Field(default=None, ge=1)
    minutes: float | None = Field(default=None, gt=0)
    """Looked at after each validation; the schedule of the learning rate does not know of it."""

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("give either steps or minutes")
        return self

    def __str__(self) -> str:
        return f"{self.steps:,} steps" if self.steps else f"{self.minutes:g} minutes"


class Changes(Section):
    """Values of a recipe that differ, section by section."""

    corpus: Values = Field(default_factory=dict)
    tokenizer: Values = Field(default_factory=dict)
    network: Values = Field(default_factory=dict)
    training: Values = Field(default_factory=dict)
    without: tuple[str, ...] = ()
    """Keys to leave out, as `training.clip_norm`."""

    @property
    def values(self) -> dict[str, Values]:
        """What is set, by section."""
        return {
            "corpus": self.corpus,
            "tokenizer": self.tokenizer,
            "network": self.network,
            "training": self.training,
        }

    def __str__(self) -> str:
        said = [f"{section}.{each}" for section, of in self.values.items() for each in _told(of)]
        return ", ".join([*said, *(f"no {key}" for key in self.without)])


class RowRecipe(Changes):
    """One row of an ablation."""

    name: Name
    reason: str = Field(min_length=1)
    """Why the option may be worth something, or whose idea it is."""


class AblationRecipe(Section):
    """Which recipe is taken apart, on what budget, and into what."""

    recipe: Path
    """The base, beside this file."""
    budget: Budget
    seeds: tuple[int, ...] = Field(default=(1,), min_length=1)
    """Every row is trained with each."""
    speeds: bool = False
    """Whether every row is exported, too, and timed by itself; see `speeds.py`."""
    common: Changes = Changes()
    """What the budget asks of every row, the base too."""
    rows: tuple[RowRecipe, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _has_distinct_rows(self) -> Self:
        names = [BASE, *(row.name for row in self.rows)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"rows: {', '.join(twice)} stands there twice")
        return self


@dataclass(frozen=True, slots=True)
class Row:
    """One row and the whole recipe that it is."""

    name: str
    changes: str
    reason: str
    toml: str


@dataclass(frozen=True, slots=True)
class Trial:
    """One row with one seed."""

    row: str
    seed: int
    run: Run
    is_timed: bool = False
    """Whether its speeds are taken when it is trained."""


@dataclass(frozen=True, slots=True)
class Ablation:
    """An ablation whose recipes have all been parsed."""

    name: str
    recipe: AblationRecipe
    rows: list[Row]
    trials: list[Trial]


class TrialResult(Record):
    """What a trial came to."""

    row: str
    seed: int
    recipe_sha256: str
    dev_bleu: float | None = None
    """Of the best checkpoint, greedy, mean of the directions; None if training failed."""
    signature: str = ""
    """sacreBLEU's own, of dev BLEU."""
    failure: str = ""
    best_step: int = 0
    steps: int = 0
    minutes: float = 0.0
    """Of training and validating."""
    tokens_per_second: float = 0.0
    """Target tokens; the median of the times between validations."""
    parameters: int = 0
    speeds: Speeds | None = None
    machine: str = ""
    jobs: int = 1
    """Trials that shared the machine."""


class RowResult(Record):
    """What a row came to, over its seeds."""

    name: str
    changes: str
    reason: str
    trials: tuple[TrialResult, ...]

    @property
    def bleus(self) -> list[float]:
        """Dev BLEU of the trials that did not fail."""
        return [trial.dev_bleu for trial in self.trials if trial.dev_bleu is not None]

    @property
    def failures(self) -> list[str]:
        """Why trials failed."""
        return [trial.failure for trial in self.trials if trial.failure]


class AblationResult(Record):
    """What an ablation found, whole enough to be read without its runs."""

    name: str
    recipe: str
    """File of the base."""
    budget: str
    dev: str
    """Name of the dev text."""
    rows: tuple[RowResult, ...]
    """Those that were trained, base first."""

    @property
    def base(self) -> float | None:
        """Mean dev BLEU of the base, if it was trained."""
        bleus = [bleu for row in self.rows if row.name == BASE for bleu in row.bleus]
        return statistics.fmean(bleus) if bleus else None


def rows_of(recipe: AblationRecipe, base: str) -> list[Row]:
    """Return the base and every row as whole recipes, unparsed.

    Args:
        base: Text of the recipe that is taken apart.

    Raises:
        ValueError: a row leaves out a key that is not there.
    """
    budget = {"training": {"max_steps": recipe.budget.steps}} if recipe.budget.steps else {}
    common = vary(vary(base, recipe.common.values, recipe.common.without), budget)
    rows = [Row(BASE, "", "", _named(common, BASE))]
    for row in recipe.rows:
        try:
            toml = vary(common, row.values, row.without)
        except ValueError as error:
            raise ValueError(f"rows.{row.name}: {error}") from None
        rows.append(Row(row.name, str(row), row.reason, _named(toml, row.name)))
    return rows


def read_ablation(path: Path) -> tuple[AblationRecipe, list[Row]]:
    """Parse the file of an ablation; return it and its rows, which are not parsed yet.

    Raises:
        ValueError: it cannot be read, or is no ablation; the message names the key.
    """
    try:
        recipe = AblationRecipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        base = (path.parent / recipe.recipe).read_text(encoding="utf-8")
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ValueError(f"{path}: {'; '.join(wrong)}") from None
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path}: {error}") from None
    return recipe, rows_of(recipe, base)


def open_ablation(path: Path, corpora: Path, runs: Path, bundles: Path) -> Ablation:
    """Parse an ablation and all its recipes; its runs lie in `runs/NAME/`, by row.

    Raises:
        ValueError: it is none, or a row is no recipe; the message names row and key.
    """
    recipe, rows = read_ablation(path)
    for row in rows:
        parse_recipe(row.toml, f"{path}: rows.{row.name}")
    folder = runs / path.stem
    trials: list[Trial] = []
    for row in rows:
        written = folder / "recipes" / f"{row.name}.toml"
        written.parent.mkdir(parents=True, exist_ok=True)
        written.write_text(row.toml, encoding="utf-8")
        runs_of_row = [open_run(written, corpora, folder, bundles, seed) for seed in recipe.seeds]
        trials += [
            Trial(row.name, run.recipe.training.seed, run, recipe.speeds) for run in runs_of_row
        ]
    return Ablation(path.stem, recipe, rows, trials)


def choose_trials(ablation: Ablation, only: Sequence[str]) -> list[Trial]:
    """Return the trials of the rows that are named, or all; what is done already is left out.

    Raises:
        ValueError: a name is that of no row.
    """
    unknown = sorted(set(only) - {row.name for row in ablation.rows})
    if unknown:
        raise ValueError(f"{ablation.name} has no row {', '.join(unknown)}")
    wanted = [trial for trial in ablation.trials if not only or trial.row in only]
    return [trial for trial in wanted if read_result(trial) is None]


def read_result(trial: Trial) -> TrialResult | None:
    """Return what a trial came to, if it was trained by the recipe that it has now."""
    path = trial.run.folder / RESULT
    if not path.exists():
        return None
    result = TrialResult.read(path)
    return result if result.recipe_sha256 == trial.run.sha256 else None


def write_result(trial: Trial, result: TrialResult) -> None:
    """Keep what a trial came to; its checkpoints are not needed any more."""
    result.write(trial.run.folder / RESULT)
    shutil.rmtree(trial.run.checkpoints, ignore_errors=True)


def collect(ablation: Ablation) -> AblationResult:
    """Return what has been found so far."""
    results: dict[str, list[TrialResult]] = {row.name: [] for row in ablation.rows}
    for trial in ablation.trials:
        if (result := read_result(trial)) is not None:
            results[trial.row].append(result)
    dev = ", ".join(text.name for text in ablation.trials[0].run.recipe.corpus.dev)
    rows = [
        RowResult(
            name=row.name,
            changes=row.changes,
            reason=row.reason,
            trials=tuple(results[row.name]),
        )
        for row in ablation.rows
        if results[row.name]
    ]
    return AblationResult(
        name=ablation.name,
        recipe=str(ablation.recipe.recipe),
        budget=str(ablation.recipe.budget),
        dev=dev,
        rows=tuple(rows),
    )


def _named(toml: str, row: str) -> str:
    return vary(toml, {"name": row, "export": {"publish": False}})


def _told(values: Mapping[str, Any], within: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _told(value, f"{within}{key}.")
        else:
            yield f"{within}{key} = {value}"
