"""Text of one language, translated back into pairs to learn the other direction from.

    lines --clean--> --held-out text goes--> targets --bundle, through the engine--> sources
                                                   both --> FILE.tsv, and FILE.tsv.json, its origin

The sources are a machine's, the targets are people's; so only source to target may be learnt
from the pairs, and `kind = "back-translated"` in a recipe says so. A bundle that says its
sentences without an end, or the same over and over, has not understood them: they go.

Source: Sennrich et al. 2016, "Improving Neural Machine Translation Models with Monolingual Data",
section 3.2. Greedy search and beams are enough for corpora that are small: Edunov et al. 2018,
"Understanding Back-Translation at Scale", section 5.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.bundle import MANIFEST, Bundle
from models.normalisation import normalise
from training.corpus import Report, clean_lines, find_leaks
from training.pairs import Pair, read_lines
from training.run import Run
from training.synthetic import Origin, write_origin
from training.text_recipe import TextRecipe
from training.translations import Interpreter, OnProgress, Rendering, translate_all

FOLDER = "back-translated"
"""Of a run: what is translated already."""

CHUNK_SENTENCES = 500
"""Lost at most by an interruption; seconds of work on two cores."""
FAULTS = {"length": "translation without an end", "repetition": "translation repeats itself"}


@dataclass(frozen=True, slots=True)
class BackTranslation:
    """A text that is to be translated back, and by whom."""

    text: Path
    """Sentences in the target language, one on each line."""
    source: str
    """Language to translate into: the source of what will be trained."""
    target: str
    bundle: Path
    """Folder of a bundle that translates from `target` to `source`."""
    output: Path
    """The TSV to write."""
    beam: int | None = None
    """1 is greedy search; None takes the bundle's own."""

    @property
    def recipe(self) -> TextRecipe:
        """What a recipe says of the pairs."""
        return TextRecipe(
            name=self.output.stem,
            languages=(self.source, self.target),
            tsv=self.output,
            kind="back-translated",
            tagged=True,
        )

    def in_recipe(self, run: Run) -> str:
        """Return the lines of a recipe that let it learn from the pairs, tagged."""
        path = self.output.absolute()
        if path.is_relative_to(run.corpora.absolute()):
            path = path.relative_to(run.corpora.absolute())
        return (
            "[[corpus.train]]\n"
            f'name = "{self.output.stem}"\n'
            f'languages = ["{self.source}", "{self.target}"]\n'
            f'tsv = "{path.as_posix()}"\n'
            'kind = "back-translated"\n'
            "tagged = true"
        )


def load_targets(task: BackTranslation, run: Run) -> tuple[list[str], Report]:
    """Return the lines to translate: cleaned by the run's recipe, and nothing of its held-out text.

    Raises:
        ValueError: the text cannot be read, or no line of it is left.
    """
    report = Report(task.text.name)
    corpus, form = run.recipe.corpus, run.recipe.tokenizer.normalisation
    lines = list(clean_lines(read_lines(task.text), corpus.cleaning, form, report))
    leaks = find_leaks([("", line) for line in lines], task.recipe, corpus, run.corpora)
    targets: list[str] = []
    for line, names in zip(lines, leaks, strict=True):
        if names:
            report.drop("in held-out text")
        else:
            targets.append(line)
    if not targets:
        raise ValueError(f"{task.text}: no line is left to translate ({report.read:,} read)")
    return targets, report


def back_translate(
    task: BackTranslation, run: Run, targets: Sequence[str], on_progress: OnProgress
) -> Report:
    """Translate lines back and write the pairs with their origin; return what became of them.

    After an interruption the same call goes on where it stopped.

    Raises:
        DamagedBundle: the bundle cannot be trusted.
        ServiceError: the bundle does not translate this direction, or the engine fails.
    """
    bundle = Bundle.open(task.bundle)
    origin = _describe(task, bundle)
    interpreter = Interpreter(
        bundle=bundle.path,
        identity=f"{origin.bundle} {origin.manifest_sha256}",
        source=task.target,
        target=task.source,
        beam=origin.beam,
        length_penalty=origin.length_penalty,
    )
    folder = run.folder / FOLDER / task.output.stem
    folder.parent.mkdir(exist_ok=True)
    renderings = translate_all(interpreter, targets, folder, on_progress, CHUNK_SENTENCES)
    report = Report(f"{task.output.name}, sources by {origin.bundle}", read=len(targets))
    form = run.recipe.tokenizer.normalisation
    pairs = [
        (normalise(source, form), target)
        for source, target in _drop_faulty(renderings, targets, report)
    ]
    write_origin(task.recipe.paths[1], origin)
    lines = "".join(f"{source}\t{target}\n" for source, target in pairs)
    task.output.write_text(lines, encoding="utf-8", newline="\n")
    return report


def _describe(task: BackTranslation, bundle: Bundle) -> Origin:
    decoding = bundle.manifest.decoding
    return Origin(
        bundle=bundle.identity,
        manifest_sha256=_hash(bundle.path / MANIFEST),
        beam=task.beam or decoding.beam,
        length_penalty=decoding.length_penalty,
        text=task.text.name,
        text_sha256=_hash(task.text),
    )


def _drop_faulty(
    renderings: Sequence[Rendering], targets: Sequence[str], report: Report
) -> Iterator[Pair]:
    for rendering, target in zip(renderings, targets, strict=True):
        source = rendering.texts[0]
        if reason := FAULTS.get(rendering.finish_reason):
            report.drop(reason)
        elif not source.strip():
            report.drop("empty translation")
        else:
            yield source, target


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
