"""Teachers and student side by side: quality on dev, size and speed, through the engine.

Every system translates the same dev text of each of its directions, greedily and with its beam,
in the variant that a CPU runs. Speed is that of this machine while it did.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from models.bundle import Bundle, VariantName
from service.engine import TranslationOptions, Translator, open_translator
from service.evaluation import Evaluation, Metric, evaluate
from training.corpus import HeldOut
from training.measurements import REFERENCE, OnProgress, Search


@dataclass(frozen=True, slots=True)
class System:
    """What translates some directions."""

    name: str
    bundle: Path
    directions: frozenset[tuple[str, str]]
    search: Search
    """Besides greedy search."""


@dataclass(frozen=True, slots=True)
class Row:
    """What a system does with one setting of the search."""

    system: str
    variant: VariantName
    search: Search
    directions: str
    scores: dict[str, float]
    """Means over the directions, by metric."""
    signatures: tuple[str, ...]
    size_bytes: int
    """Of the variant's files."""
    sentences_per_second: float


def compare(
    systems: Sequence[System], dev: Sequence[HeldOut], on_progress: OnProgress
) -> list[Row]:
    """Return a row for each system and search, in this order."""
    return [row for system in systems for row in _measure(system, dev, on_progress)]


def count_translations(systems: Sequence[System], dev: Sequence[HeldOut]) -> int:
    """Return how many sentences a comparison translates."""
    return sum(
        len(text.sources) * len(_searches(system))
        for system in systems
        for text in _texts(system, dev)
    )


def _measure(system: System, dev: Sequence[HeldOut], on_progress: OnProgress) -> Iterator[Row]:
    variants = Bundle.open(system.bundle).manifest.variants
    variant: VariantName = "int8" if "int8" in variants else REFERENCE
    evaluations: dict[Search, list[Evaluation]] = {}
    texts = _texts(system, dev)
    for text in texts:
        with closing(_open(system, text, variant)) as translator:
            for search in _searches(system):
                evaluation = _evaluate(translator, text, search, on_progress)
                evaluations.setdefault(search, []).append(evaluation)
    for search, done in evaluations.items():
        metrics = [metric for each in done for metric in each.metrics]
        yield Row(
            system=system.name,
            variant=variant,
            search=search,
            directions=", ".join(f"{text.source}-{text.target}" for text in texts),
            scores=_means(metrics),
            signatures=tuple(dict.fromkeys(f"{m.name}|{m.signature}" for m in metrics)),
            size_bytes=sum(file.size_bytes for file in variants[variant].files),
            sentences_per_second=sum(e.sentences for e in done) / sum(e.seconds for e in done),
        )


def _open(system: System, text: HeldOut, variant: VariantName) -> Translator:
    return open_translator(system.bundle, (text.source, text.target), variant=variant)


def _evaluate(
    translator: Translator, text: HeldOut, search: Search, on_progress: OnProgress
) -> Evaluation:
    return evaluate(
        translator,
        text.sources,
        [text.references],
        TranslationOptions(beam=search.beam, length_penalty=search.length_penalty),
        lambda _: on_progress(1),
        ["bleu", "chrf"],
    )


def _means(metrics: Sequence[Metric]) -> dict[str, float]:
    names = dict.fromkeys(metric.name for metric in metrics)
    return {name: fmean(each.score for each in metrics if each.name == name) for name in names}


def _texts(system: System, dev: Sequence[HeldOut]) -> list[HeldOut]:
    return [text for text in dev if (text.source, text.target) in system.directions]


def _searches(system: System) -> list[Search]:
    return list(dict.fromkeys([Search(1, system.search.length_penalty), system.search]))
