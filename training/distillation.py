"""Sequence-level distillation: a student learns from its teachers' translations.

    training text --each direction--> sources --teachers, through the engine--> hypotheses
        hypotheses --nearest to a reference, if wanted--> targets --faulty or leaking go--> pairs
        pairs, and a share of the originals --> the student's own training text

Text goes between them, so the student's vocabulary may be another one. What is made lies in the
student's run:

    distilled/origin.json                what it was made from; the same again is not made twice
    distilled/N.SOURCE-TARGET/           the hypotheses for training text N, see `translations.py`
    distilled/N.SOURCE-TARGET.tsv        sources and targets that are learnt from

Source: Kim & Rush 2016, "Sequence-Level Knowledge Distillation", section 3.2; the choice among
the hypotheses is section 3.3.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from models.bundle import Bundle, Distillation
from service.evaluation import find_nearest
from training.comparison import System
from training.corpus import Report, clean, find_leaks, load_train
from training.experts import Direction, Expert, find_experts
from training.measurements import Search
from training.pairs import Pair
from training.prepare import describe_files, describe_held_out
from training.run import Run
from training.text_recipe import TextRecipe
from training.translations import Interpreter, OnProgress, Rendering, translate_all

FOLDER = "distilled"
ORIGIN = "origin.json"
MAX_PHRASE_WORDS = 4
"""Of a phrase that is looked for again right behind itself."""
MAX_TIMES = 2
"""How often a phrase may stand in a row, unless the source repeats one as often."""

Translate = Callable[[Interpreter, Sequence[str], Path, OnProgress], list[Rendering]]
"""Does what `translate_all` does."""
TeacherBundle = Callable[[tuple[Expert, ...]], Path]
"""Returns the bundle that teachers translate with, one alone or several together."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """One direction of a training text, to be translated."""

    name: str
    """Of its files."""
    text: TextRecipe
    direction: Direction
    references_by_source: dict[str, list[str]]
    teachers: tuple[Expert, ...]


@dataclass(frozen=True, slots=True)
class Distilled:
    """What a student learns from."""

    run: Run
    """The student's, its training text being what was distilled and what was kept."""
    reports: list[Report]
    """What became of the translations of each text."""
    distillation: Distillation


class Distiller:
    """The work of the teachers of one student.

    Raises:
        ValueError: a text cannot be read or leaks, or nobody translates a direction.
    """

    def __init__(
        self, run: Run, teachers: Sequence[Expert], translate: Translate = translate_all
    ) -> None:
        self._run, self._recipe, self._translate = run, run.recipe.distillation, translate
        self._folder = run.folder / FOLDER
        self._texts = [(text, pairs) for text, pairs, _ in load_train(run)]
        self.lessons = [
            Lesson(f"{i}.{'-'.join(direction)}", text, direction, references, found)
            for i, (text, pairs) in enumerate(self._texts)
            for direction in run.recipe.corpus.directions
            # what a machine has made already stays as it is
            if text.kind == "parallel"
            and text.teaches(*direction)
            and (found := find_experts(teachers, direction))
            and (references := _references_by_source(text, pairs, direction))
        ]

    @property
    def num_sentences(self) -> int:
        """Sentences that the teachers translate, each once in a direction of a text."""
        return sum(len(lesson.references_by_source) for lesson in self.lessons)

    def distil(self, bundle_of: TeacherBundle, on_progress: OnProgress) -> Distilled:
        """Return what the student learns from; what is there already is not made again.

        Raises:
            ServiceError: the engine cannot open a teacher, or fails.
            ValueError: no pair is left to learn from.
        """
        self._folder.mkdir(exist_ok=True)
        kept = self._read_origin()
        if kept is not None:
            on_progress(self.num_sentences)
            reports = [Report(**each) for each in kept["reports"]]
        else:
            reports = [self._teach(each, bundle_of, on_progress) for each in self.lessons]
            self._write_origin(reports)
        taught = [
            self._distilled_text(lesson)
            for lesson, report in zip(self.lessons, reports, strict=True)
            if report.kept
        ]
        texts = [*self._originals(), *taught]
        return Distilled(self._student(texts), reports, self._describe(reports))

    def systems(self, bundle_of: TeacherBundle, student: Bundle) -> list[System]:
        """Return the teachers, each group with the directions that it taught, and the student."""
        groups: dict[tuple[Expert, ...], set[Direction]] = {}
        for lesson in self.lessons:
            groups.setdefault(lesson.teachers, set()).add(lesson.direction)
        systems = []
        for group, directions in groups.items():
            folder = bundle_of(group)
            penalty = self._recipe.length_penalty
            if penalty is None:
                penalty = Bundle.open(folder).manifest.decoding.length_penalty
            search = Search(self._recipe.beam, penalty)
            systems.append(System(_names(group), folder, frozenset(directions), search))
        decoding = student.manifest.decoding
        search = Search(decoding.beam, decoding.length_penalty)
        taught = frozenset(lesson.direction for lesson in self.lessons)
        return [*systems, System(student.identity, student.path, taught, search)]

    def _teach(self, lesson: Lesson, bundle_of: TeacherBundle, on_progress: OnProgress) -> Report:
        """Translate a lesson and write what is learnt from it."""
        source, target = lesson.direction
        interpreter = Interpreter(
            bundle=bundle_of(lesson.teachers),
            identity=" + ".join(f"{each.name} {each.sha256}" for each in lesson.teachers),
            source=source,
            target=target,
            beam=self._recipe.beam,
            length_penalty=self._recipe.length_penalty,
            num_best=self._recipe.best_of,
        )
        sources = list(lesson.references_by_source)
        folder = self._folder / lesson.name
        renderings = self._translate(interpreter, sources, folder, on_progress)
        targets = self._choose(lesson, renderings)
        text, report = self._distilled_text(lesson), Report(_title(lesson))
        corpus, form = self._run.recipe.corpus, self._run.recipe.tokenizer.normalisation
        sound = _drop_faulty(sources, targets, renderings, report)
        pairs = list(clean(sound, corpus.cleaning, form, report))
        report.read = len(sources)  # not only those that were given on
        leaks = find_leaks(pairs, text, corpus, self._run.corpora)
        _write_pairs(self._path(lesson.name), _drop_leaks(pairs, leaks, report))
        return report

    def _choose(self, lesson: Lesson, renderings: Sequence[Rendering]) -> list[str]:
        """Return the target of each source: the best hypothesis, or the nearest to a reference."""
        hypotheses = [rendering.texts for rendering in renderings]
        if self._recipe.best_of == 1:
            return [texts[0] for texts in hypotheses]
        references = list(lesson.references_by_source.values())
        target, metric = lesson.direction[1], self._recipe.similarity
        nearest = find_nearest(hypotheses, references, target, metric)
        return [texts[i] for texts, i in zip(hypotheses, nearest, strict=True)]

    def _originals(self) -> Iterator[TextRecipe]:
        """Yield what is learnt from besides: of people's text a share, drawn anew each epoch."""
        for text, _ in self._texts:
            if share := self._share(text):
                yield text.model_copy(update={"weight": share * text.weight})

    def _share(self, text: TextRecipe) -> float:
        return self._recipe.keep_originals if text.kind == "parallel" else 1.0

    def _distilled_text(self, lesson: Lesson) -> TextRecipe:
        changes = {
            "name": _title(lesson),
            "languages": lesson.direction,
            "files": None,
            "tmx": None,
            "tsv": self._path(lesson.name),
            "kind": "distilled",
        }
        return lesson.text.model_copy(update=changes)

    def _student(self, texts: Sequence[TextRecipe]) -> Run:
        corpus = self._run.recipe.corpus.model_copy(update={"train": tuple(texts)})
        return replace(self._run, recipe=self._run.recipe.model_copy(update={"corpus": corpus}))

    def _describe(self, reports: Sequence[Report]) -> Distillation:
        pairs = sum(report.kept for report in reports)
        taught = sum(
            lesson.text.weight * report.kept
            for lesson, report in zip(self.lessons, reports, strict=True)
        )
        kept = sum(
            self._share(text) * text.weight * len(pairs)
            for text, pairs in self._texts
            for direction in self._run.recipe.corpus.directions
            if text.teaches(*direction)
        )
        if not taught + kept:
            raise ValueError("distillation: no pair is left to learn from")
        teachers = dict.fromkeys(each for lesson in self.lessons for each in lesson.teachers)
        return Distillation(
            teachers=[teacher.ancestor for teacher in teachers],
            beam=self._recipe.beam,
            length_penalty=self._recipe.length_penalty,
            best_of=self._recipe.best_of,
            pairs=pairs,
            share=round(taught / (taught + kept), 4),
            sources=describe_files(self._run),
        )

    def _path(self, name: str) -> Path:
        # a file of pairs; the folder of the same name holds what they were chosen from
        return (self._folder / f"{name}.tsv").absolute()

    def _origin(self) -> dict[str, Any]:
        recipe = self._run.recipe
        return {
            "recipe": recipe.model_dump(mode="json", include={"corpus", "distillation"})
            | {"normalisation": recipe.tokenizer.normalisation},
            "files": describe_files(self._run) | describe_held_out(self._run),
            "teachers": [[each.sha256 for each in lesson.teachers] for lesson in self.lessons],
        }

    def _read_origin(self) -> dict[str, Any] | None:
        path = self._folder / ORIGIN
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        return known if known is not None and known["origin"] == self._origin() else None

    def _write_origin(self, reports: Sequence[Report]) -> None:
        known = {"origin": self._origin(), "reports": [asdict(report) for report in reports]}
        (self._folder / ORIGIN).write_text(json.dumps(known, indent=2), encoding="utf-8")


def count_repeats(text: str) -> int:
    """Return how often in a row the phrase stands that is repeated most: 1 if none is."""
    words = text.casefold().split()
    most = 1
    for size in range(1, MAX_PHRASE_WORDS + 1):
        alike = 0
        for one, other in zip(words, words[size:], strict=False):
            alike = alike + 1 if one == other else 0
            most = max(most, 1 + alike // size)
    return most


def _references_by_source(
    text: TextRecipe, pairs: Sequence[Pair], direction: Direction
) -> dict[str, list[str]]:
    """Return all translations of each source: one that has several is translated once."""
    source = text.languages.index(direction[0])
    references: dict[str, list[str]] = {}
    for pair in pairs:
        references.setdefault(pair[source], []).append(pair[1 - source])
    return references


def _title(lesson: Lesson) -> str:
    return f"{lesson.text.name}, {'-'.join(lesson.direction)} by {_names(lesson.teachers)}"


def _names(teachers: Sequence[Expert]) -> str:
    return " + ".join(teacher.name for teacher in teachers)


def _drop_faulty(
    sources: Iterable[str],
    targets: Iterable[str],
    renderings: Iterable[Rendering],
    report: Report,
) -> Iterator[Pair]:
    for source, target, rendering in zip(sources, targets, renderings, strict=True):
        if reason := _fault(source, target, rendering):
            report.drop(reason)
        else:
            yield source, target


def _fault(source: str, target: str, rendering: Rendering) -> str | None:
    if not target.strip():
        return "empty translation"
    if rendering.finish_reason == "length":
        return "translation without an end"
    is_stuck = count_repeats(target) > max(MAX_TIMES, count_repeats(source))
    return "translation repeats itself" if is_stuck or rendering.finish_reason != "eos" else None


def _drop_leaks(
    pairs: Iterable[Pair], leaks: Iterable[tuple[str, ...]], report: Report
) -> Iterator[Pair]:
    # A teacher may well say what stands in held-out text; a user's text that does is refused.
    for pair, names in zip(pairs, leaks, strict=True):
        if names:
            report.drop("in held-out text")
        else:
            yield pair


def _write_pairs(path: Path, pairs: Iterable[Pair]) -> None:
    lines = "".join(f"{first}\t{second}\n" for first, second in pairs)
    path.write_text(lines, encoding="utf-8", newline="\n")
