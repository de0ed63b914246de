"""From a user's own text to a run: examined, split, measured out and written down as a recipe.

    files -> doctor -> dev and test held out -> vocabulary -> pace of this machine -> recipe.toml

Everything lies in the run's folder, so the ordinary commands can repeat and change it:

    runs/NAME/corpus/      train, dev and test, one file for each language
    runs/NAME/origin.json  what was asked for; the same again goes on where it stopped
    runs/NAME/recipe.toml  written last: as long as it is missing, the next attempt begins anew
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from models.bundle import Bundle
from training.doctor import examine, read_lines
from training.findings import Examination
from training.pairs import read_pairs
from training.recipe_text import Heading, write_recipe
from training.run import Run, open_run, parse_recipe
from training.sizes import (
    Duration,
    Pace,
    Shape,
    Volume,
    choose_duration,
    is_affordable,
    list_shapes,
)
from training.split import DEV, PARTS, TEST, TRAIN, split, write_parts
from training.text_recipe import CleaningRecipe, TextRecipe

if TYPE_CHECKING:
    import torch

RECIPE = "recipe.toml"
ORIGIN = "origin.json"
SAMPLE = 2000
"""Pairs that tell the usual ratio of lengths."""
TIMED_STEPS = 1000
"""Steps of the recipe that is only timed; more than are."""
FEW_PASSES = 5
"""Below which a small text has hardly been read; a warning says so before the training."""
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]+)*")
NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
WORDS = (80, 200)
"""Bounds of the longest side that is kept; in between it follows the text."""


@dataclass(frozen=True, slots=True)
class OwnText:
    """A text of the user's, and what is to become of it."""

    files: tuple[Path, ...]
    """One TMX or TSV, or two files, the source language's first."""
    source: str
    target: str
    both: bool = False
    """Whether both directions are wanted, of one model."""
    name: str | None = None
    version: int = 1

    @property
    def model(self) -> str:
        """Name of run and bundle: as asked, or that of the file and the languages."""
        if self.name is not None:
            return self.name
        stem = re.sub(r"[^a-z0-9]+", "-", self.files[0].stem.lower()).strip("-") or "model"
        return f"{stem}-{self.source}-{self.target}".lower()

    @property
    def label(self) -> str:
        """The file names, for people."""
        return ", ".join(path.name for path in self.files)

    @property
    def is_tmx(self) -> bool:
        """Whether it is a translation memory."""
        return len(self.files) == 1 and self.files[0].suffix.lower() == ".tmx"

    def describe(self) -> TextRecipe:
        """Return the text as a recipe would name it.

        Raises:
            ValueError: too many files, no language codes, or a name that no bundle can have.
        """
        if not NAME.fullmatch(self.model):
            raise ValueError(f"--name {self.model}: small letters, digits and hyphens are allowed")
        for flag, language in (("--from", self.source), ("--to", self.target)):
            if not LANGUAGE.fullmatch(language):
                raise ValueError(f"{flag} {language}: a code such as en, de or pt-BR is needed")
        if self.source == self.target:
            raise ValueError(f"--from and --to are both {self.source}: two languages are needed")
        if len(self.files) > 2:
            raise ValueError(
                f"--corpus is given {len(self.files)} times: one TMX or TSV, or two files of one "
                "language each"
            )
        fields: dict[str, object] = {"tsv": self.files[0]}
        if len(self.files) == 2:
            fields = {"files": self.files}
        elif self.is_tmx:
            fields = {"tmx": self.files[0]}
        languages = (self.source, self.target)
        return TextRecipe.model_validate({"name": self.label, "languages": languages, **fields})


Tell = Callable[[str], None]
"""Is told what was found and chosen, a line at a time."""


def usual_rules(text: TextRecipe, corpora: Path) -> CleaningRecipe:
    """Return rules of cleaning that suit a text: what is usual in it is not dropped.

    Raises:
        ValueError: the text cannot be read.
    """
    sample = [pair for pair in islice(read_pairs(text, corpora), SAMPLE) if all(pair)]
    ratio = median(len(second) / len(first) for first, second in sample) if sample else 1.0
    # a Chinese sentence has a third of the characters of its English translation
    return CleaningRecipe(
        max_words=WORDS[0],
        max_ratio=round(3 * max(ratio, 1 / ratio), 1),
        min_ratio_characters=30,
    )


def examine_own(own: OwnText) -> Examination:
    """Look at a user's text.

    Raises:
        ValueError: it cannot be read.
    """
    text, here = own.describe(), Path()
    return examine(text, here, usual_rules(text, here), "NFC")


def reopen(own: OwnText, runs: Path, bundles: Path) -> Run | None:
    """Return the run that the same text and wishes were measured out for; None if there is none.

    Raises:
        ValueError: the folder is another run's.
    """
    folder = runs / own.model
    if not (folder / RECIPE).exists():
        if (folder / "checkpoints").exists():
            raise ValueError(f"{folder} is the run of a recipe of yours: give another --name")
        return None
    path = folder / ORIGIN
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    wanted = _origin(own)
    other = [key for key, value in wanted.items() if known.get(key) != value]
    if other:
        raise ValueError(
            f"{folder} was made with other {' and '.join(other)}: give another --name, or remove "
            "the folder to begin anew"
        )
    return open_run(folder / RECIPE, folder, runs, bundles)


def check_version_is_free(own: OwnText, bundles: Path) -> None:
    """Refuse a version that is published, before hours of work.

    Raises:
        ValueError: it is.
    """
    if (bundles / own.model / str(own.version)).exists():
        raise ValueError(
            f"version {own.version} of {own.model} is published already: give --version "
            f"{own.version + 1} or another --name"
        )


def find_bundle(run: Run) -> Bundle | None:
    """Return the bundle that the run has published; None if it has not come so far.

    Raises:
        DamagedBundle: it cannot be trusted.
        ValueError: the version is another recipe's.
    """
    path = run.bundles / run.recipe.name / str(run.recipe.version)
    if not path.exists():
        return None
    bundle = Bundle.open(path)
    if bundle.manifest.provenance.recipe_sha256 != run.sha256:
        raise ValueError(
            f"{bundle.identity} was made by another recipe than {run.folder / RECIPE}: "
            "raise the version there"
        )
    return bundle


class Measuring:
    """The way from a text that was examined to its run.

    Args:
        minutes: time for training; splitting, preparing and exporting come on top.
        device: that will train.
        tell: is told what was chosen, and why.
    """

    def __init__(
        self,
        own: OwnText,
        runs: Path,
        bundles: Path,
        minutes: float,
        device: "torch.device",
        tell: Tell,
    ) -> None:
        self._own, self._runs, self._bundles = own, runs, bundles
        self._minutes, self._device, self._tell = minutes, device, tell
        self._folder = runs / own.model
        self._heading = Heading(own.model, own.version, own.source, own.target, own.both, own.label)

    def start(self) -> Run:
        """Split, prepare, time and write the recipe.

        Raises:
            ValueError: the text cannot be read or is too uniform to hold anything out.
        """
        # this spares the examination, which needs no network, the loading of torch
        from training.prepare import prepare  # noqa: PLC0415

        text, here = self._own.describe(), Path()
        cleaning = usual_rules(text, here)
        self._folder.mkdir(parents=True, exist_ok=True)
        volume, held_out = self._split(text, cleaning)
        cleaning = cleaning.model_copy(
            update={"max_words": min(WORDS[1], max(WORDS[0], 3 * volume.long_words))}
        )

        def write(shape: Shape, duration: Duration) -> str:
            return write_recipe(self._heading, volume, shape, duration, cleaning, held_out)

        shapes = list_shapes(volume)
        prepare(self._run(write(shapes[0], _timed(TIMED_STEPS))))
        shape, pace = self._find_shape(shapes, write)
        duration = choose_duration(volume, pace, self._minutes, held_out[0])
        toml = write(shape, duration)
        self._explain(toml, pace, duration)
        return self._write(toml)

    def _split(self, text: TextRecipe, cleaning: CleaningRecipe) -> tuple[Volume, tuple[int, int]]:
        here = Path()
        parts = split(read_lines(text, here, cleaning, "NFC"))
        lines = read_lines(text, here, cleaning, "NFC")
        write_parts(lines, parts, self._folder / "corpus", text.languages)
        held_out = parts.count(DEV), parts.count(TEST)
        self._tell(
            f"held out: {held_out[0]:,} dev and {held_out[1]:,} test sentences, in whole families "
            f"of {parts.families:,} (the largest has {parts.largest:,} pairs and is learnt from)"
        )
        paths = [self._folder / f"corpus/{PARTS[TRAIN]}.{side}" for side in text.languages]
        return _volume(paths, len(self._heading.directions)), held_out

    def _find_shape(
        self, shapes: Sequence[Shape], write: Callable[[Shape, Duration], str]
    ) -> tuple[Shape, Pace]:
        """Return the largest shape that there is time for, or the smallest that was tried."""
        from training.pace import measure_pace  # noqa: PLC0415

        for shape in shapes:
            pace = measure_pace(self._run(write(shape, _timed(TIMED_STEPS))), self._device)
            if is_affordable(pace, self._minutes):
                break
        return shape, pace

    def _explain(self, toml: str, pace: Pace, duration: Duration) -> None:
        for line in toml.splitlines():
            if line == "":
                break
            if ": " in line and not line.startswith("# Written"):
                self._tell(line.removeprefix("# "))
        self._tell(
            f"estimate: {duration.steps:,} steps of {1000 * pace.step_seconds:,.0f} ms, as timed "
            f"here, and the validations: {duration.seconds / 60:.1f} minutes"
        )
        if not duration.is_complete:
            wanted = math.ceil(duration.complete_seconds / 60)
            few = "these passes are too few to learn much: " if duration.passes < FEW_PASSES else ""
            self._tell(f"{few}up to --minutes {wanted:,} the model gets better")

    def _run(self, toml: str) -> Run:
        recipe = parse_recipe(toml, str(self._folder / RECIPE))
        return Run(recipe, toml, self._folder, self._folder, self._bundles)

    def _write(self, toml: str) -> Run:
        origin = json.dumps(_origin(self._own), indent=2)
        (self._folder / ORIGIN).write_text(origin, encoding="utf-8")
        draft = self._folder / f"{RECIPE}.draft"
        draft.write_text(toml, encoding="utf-8")
        draft.rename(self._folder / RECIPE)
        return open_run(self._folder / RECIPE, self._folder, self._runs, self._bundles)


def _timed(steps: int) -> Duration:
    return Duration(steps, 1.0, steps, 1, 0.0, False, 0.0)


def _volume(paths: Sequence[Path], directions: int) -> Volume:
    counts: list[int] = []
    for path in paths:
        with path.open(encoding="utf-8", newline="\n") as lines:
            counts += [len(line.split()) for line in lines]
    ordered = sorted(counts)
    return Volume(
        pairs=len(counts) // len(paths),
        words=sum(counts) // len(paths),
        long_words=ordered[int(0.99 * (len(ordered) - 1))],
        directions=directions,
    )


def _origin(own: OwnText) -> dict[str, object]:
    hashes = []
    for path in own.files:
        with path.open("rb") as file:
            hashes.append(hashlib.file_digest(file, "sha256").hexdigest())
    return {
        "text": hashes,
        "languages": [own.source, own.target],
        "directions": "both" if own.both else "one",
        "version": own.version,
    }
