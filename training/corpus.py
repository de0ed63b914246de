"""Parallel text: read, clean, deduplicate, and kept apart from what it is measured on.

two files | TSV | TMX  ->  read  ->  clean (with a count of what went and why)
                                       |
         dev and test texts  ->  leak check: refuses, naming the files, or drops
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from models.normalisation import Normalisation, normalise
from training.kinds import ProtocolName
from training.pairs import Pair, read_pairs
from training.run import Run
from training.synthetic import read_origin
from training.text_recipe import CleaningRecipe, CorpusRecipe, HeldOutRecipe, TextRecipe

BOTH_EQUAL = "both sides equal"
_PUNCTUATION = re.compile(r"[^\w\s]|_")


@dataclass(slots=True)
class Report:
    """What became of a text: pairs read, pairs kept, and the rest by reason."""

    name: str
    read: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    @property
    def kept(self) -> int:
        """Pairs that are left."""
        return self.read - sum(self.dropped.values())

    def drop(self, reason: str) -> None:
        """Count one pair that goes."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Text to measure one direction on, as it stands in its files."""

    name: str
    source: str
    """Language, as `target`."""
    target: str
    sources: list[str]
    references: list[str]
    is_split: bool = True
    """Whether the service is to look for sentences within a line."""
    protocols: tuple[ProtocolName, ...] = ("detok",)
    """How its BLEU is taken."""


def clean(
    pairs: Iterable[Pair], rules: CleaningRecipe, form: Normalisation, report: Report
) -> Iterator[Pair]:
    """Yield the usable pairs, normalised, each once; count the others in `report`."""
    seen: set[Pair] = set()
    for raw in pairs:
        report.read += 1
        pair = (normalise(raw[0], form), normalise(raw[1], form))
        if reason := find_fault(pair, rules):
            report.drop(reason)
        elif pair in seen:
            report.drop("duplicate")
        else:
            seen.add(pair)
            yield pair


def clean_lines(
    lines: Iterable[str], rules: CleaningRecipe, form: Normalisation, report: Report
) -> Iterator[str]:
    """Yield the usable lines of one language, as `clean` does with pairs."""
    seen: set[str] = set()
    for raw in lines:
        report.read += 1
        line = normalise(raw, form)
        # a pair with itself has all the faults of a line, and that it is one
        if (reason := find_fault((line, line), rules)) not in {None, BOTH_EQUAL}:
            report.drop(reason)
        elif line in seen:
            report.drop("duplicate")
        else:
            seen.add(line)
            yield line


def find_fault(pair: Pair, rules: CleaningRecipe) -> str | None:
    """Return why a normalised pair is unusable; None if nothing is wrong with it."""
    shorter, longer = sorted(pair, key=len)
    allowed = max(rules.min_ratio_characters, rules.max_ratio * len(shorter))
    faults = {
        "empty side": not shorter,
        "too long": max(len(side.split()) for side in pair) > rules.max_words,
        "lengths differ": len(longer) > allowed,
        "broken characters": "\ufffd" in longer + shorter,
        "hardly any letters": any(
            sum(map(str.isalpha, side)) < rules.min_letters * len(side) for side in pair
        ),
        BOTH_EQUAL: pair[0] == pair[1] and len(pair[0].split()) > 1,
    }
    return next((reason for reason, is_so in faults.items() if is_so), None)


def fingerprint(side: str) -> str:
    """Return what a sentence is compared by: its words, without case and punctuation."""
    words = _PUNCTUATION.sub("", unicodedata.normalize("NFKC", side).lower()).split()
    return " ".join(words)


def find_leaks(
    train: Iterable[Pair], text: TextRecipe, corpus: CorpusRecipe, corpora: Path
) -> list[tuple[str, ...]]:
    """Return for each training pair the names of the dev and test texts that hold it.

    Sentences are compared without case, punctuation and compatibility forms, for a sentence
    that differs in a comma only is known all the same. With `leaks = "side"` one side in
    common is enough, in whichever text of that language; else both sides are needed. Of
    back-translated text the target, which people wrote, is always enough by itself.

    Raises:
        ValueError: a held-out text cannot be read.
    """
    is_synthetic = text.kind == "back-translated"
    whole = corpus.leaks == "pair" and not is_synthetic
    held_out = {held.name: _fingerprints(held, corpora, whole=whole) for held in _held_out(corpus)}
    leaks: list[tuple[str, ...]] = []
    for pair in train:
        # a machine's source is nobody's secret, and an empty side is not compared
        compared = ("", pair[1]) if is_synthetic else pair
        prints = set(_prints(compared, text.languages, whole=whole))
        leaks.append(tuple(n for n, known in held_out.items() if not prints.isdisjoint(known)))
    return leaks


def load_train(run: Run) -> Iterator[tuple[TextRecipe, list[Pair], Report]]:
    """Yield each training text cleaned, without pairs of held-out text.

    Raises:
        ValueError: a text cannot be read, or leaks and the recipe refuses that.
    """
    recipe = run.recipe
    for text in recipe.corpus.train:
        report = Report(_title(text, run))
        pairs = read_pairs(text, run.corpora)
        cleaned = list(clean(pairs, recipe.corpus.cleaning, recipe.tokenizer.normalisation, report))
        leaks = find_leaks(cleaned, text, recipe.corpus, run.corpora)
        yield text, list(_without_leaks(cleaned, leaks, recipe.corpus, report)), report


def _title(text: TextRecipe, run: Run) -> str:
    made_by = read_origin(run.resolve(text.origin)).bundle if text.origin else None
    return f"{text.name}, sources by {made_by}" if made_by else text.name


def _without_leaks(
    pairs: Sequence[Pair], leaks: Sequence[tuple[str, ...]], corpus: CorpusRecipe, report: Report
) -> Iterator[Pair]:
    found = Counter(name for names in leaks for name in names)
    if found and corpus.on_leak == "refuse":
        counts = ", ".join(f"{count} in {name}" for name, count in found.items())
        raise ValueError(f"{report.name}: training pairs occur in held-out text ({counts})")
    for pair, names in zip(pairs, leaks, strict=True):
        if names:
            report.drop("in held-out text")
        else:
            yield pair


def load_tests(run: Run) -> list[HeldOut]:
    """Return every test text in every direction it serves.

    Raises:
        ValueError: a text cannot be read.
    """
    corpus = run.recipe.corpus
    return [
        held
        for direction in corpus.directions
        for held in _load(corpus.tests, direction, run.corpora)
    ]


def load_dev(run: Run, limit: int) -> list[HeldOut]:
    """Return the first `limit` dev sentences of each direction, as one text.

    Raises:
        ValueError: a text cannot be read.
    """
    corpus = run.recipe.corpus
    dev: list[HeldOut] = []
    for direction in corpus.directions:
        texts = _load(corpus.dev, direction, run.corpora)
        sources = [line for text in texts for line in text.sources][:limit]
        references = [line for text in texts for line in text.references][:limit]
        protocols = tuple(dict.fromkeys(name for text in texts for name in text.protocols))
        names = ", ".join(text.name for text in texts)
        dev.append(HeldOut(names, *direction, sources, references, protocols=protocols))
    return dev


def _load(
    texts: Sequence[HeldOutRecipe], direction: tuple[str, str], corpora: Path
) -> list[HeldOut]:
    loaded: list[HeldOut] = []
    for text in texts:
        if set(text.languages) == set(direction):
            order = 1 if text.languages[0] == direction[0] else -1
            pairs = [pair[::order] for pair in read_pairs(text, corpora)]
            sides = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
            held = HeldOut(text.title, *direction, *sides, protocols=text.protocols)
            loaded.append(_join(held, text.joined))
    return loaded


def _join(text: HeldOut, count: int) -> HeldOut:
    """Return the text with so many consecutive lines in one."""
    if count == 1:
        return text
    sources, references = (
        [" ".join(lines[i : i + count]) for i in range(0, len(lines), count)]
        for lines in (text.sources, text.references)
    )
    return replace(text, sources=sources, references=references, is_split=False)


def _held_out(corpus: CorpusRecipe) -> tuple[HeldOutRecipe, ...]:
    return corpus.dev + corpus.tests


def _fingerprints(text: TextRecipe, corpora: Path, *, whole: bool) -> set[tuple[str, ...]]:
    return {
        known
        for pair in read_pairs(text, corpora)
        for known in _prints(pair, text.languages, whole=whole)
    }


def _prints(pair: Pair, languages: tuple[str, str], *, whole: bool) -> Iterator[tuple[str, ...]]:
    sides = sorted(
        (language, fingerprint(side)) for language, side in zip(languages, pair, strict=True)
    )
    if whole:
        yield sides[0] + sides[1]
    else:
        # a side of punctuation alone tells nothing
        yield from (side for side in sides if side[1])
