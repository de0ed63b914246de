"""Parallel text: read, clean, deduplicate, and kept apart from what it is measured on.

two files | TSV | TMX  ->  read  ->  clean (with a count of what went and why)
                                       |
         dev and test texts  ->  leak check: refuses, naming the files, or drops
"""

import codecs
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path

from lxml import etree

from models.tokenizer import Normalisation, normalise
from training.protocol import ProtocolName
from training.recipe import CleaningRecipe, CorpusRecipe, HeldOutRecipe, Run, TextRecipe
from training.synthetic import read_origin

Pair = tuple[str, str]
"""One sentence in both languages, in the order of the text's `languages`."""

XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
# what these hold is the markup of a document; "hi", the one other element, holds words
TMX_CODES = ("{*}bpt", "{*}ept", "{*}it", "{*}ph", "{*}ut")
# 3 characters in 10 of words are enough for names; below it a line is numbers or markup
MIN_LETTERS = 0.3
BOTH_EQUAL = "both sides equal"
BYTE_ORDER_MARK = "\ufeff"
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


def read_pairs(text: TextRecipe, corpora: Path) -> Iterator[Pair]:
    """Yield the pairs of a text as they stand.

    Raises:
        ValueError: a file is missing, empty or not UTF-8, the two sides differ in length, or a
            translation memory lacks the languages.
    """
    try:
        if text.files is not None:
            yield from _read_files(*(corpora / path for path in text.files))
        elif text.tsv is not None:
            yield from _read_tsv(corpora / text.tsv)
        elif text.tmx is not None:
            yield from _read_tmx(corpora / text.tmx, text.languages)
    except (OSError, ValueError, etree.XMLSyntaxError) as error:
        raise ValueError(f"{text.name}: {error}") from None


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a text in one language as they stand.

    Raises:
        ValueError: the file is missing or is not UTF-8.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                yield line.rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {error}") from None


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
            sum(map(str.isalpha, side)) < MIN_LETTERS * len(side) for side in pair
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


def _read_files(first: Path, second: Path) -> Iterator[Pair]:
    for one, other in zip_longest(_lines(first), _lines(second)):
        if one is None or other is None:
            counts = [f"{_count_lines(path):,} lines" for path in (first, second)]
            raise ValueError(
                f"{first.name} and {second.name} have different numbers of lines, {counts[0]} and "
                f"{counts[1]}: line N of both must be one pair. Export both files anew, together"
            )
        yield one, other


def _read_tsv(path: Path) -> Iterator[Pair]:
    for number, line in enumerate(_lines(path), 1):
        columns = line.split("\t")
        if len(columns) < 2:
            raise ValueError(
                f"{path.name}, line {number}: one column, two are needed, with a tab between the "
                "languages. Two files of one language each are named one after the other"
            )
        yield columns[0], columns[1]


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file; nothing but a line feed ends one.

    Raises:
        ValueError: the file is empty, or a line is not UTF-8.
    """
    number = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield line.decode().removeprefix(BYTE_ORDER_MARK).rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise ValueError(_describe_encoding(path, number, line, error.start)) from None
    if not number:
        raise ValueError(f"{path.name} is empty: one sentence for each line is needed")


def _describe_encoding(path: Path, number: int, line: bytes, start: int) -> str:
    is_wide = number == 1 and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    likely = "utf-16" if is_wide else "windows-1252"
    return (
        f"{path.name}, line {number}: byte {start + 1} is 0x{line[start]:02x}, which is not utf-8; "
        f"if the file is {likely}: iconv -f {likely} -t utf-8 {path.name} > NEW"
    )


def _count_lines(path: Path) -> int:
    with path.open("rb") as lines:
        return sum(1 for _ in lines)


def _read_tmx(path: Path, languages: tuple[str, str]) -> Iterator[Pair]:
    """Read translation units one by one; a unit without both languages is passed over.

    Raises:
        ValueError: no unit has both; the message lists the languages that there are.

    Source: TMX 1.4b, LISA OSCAR 2005, elements tu, tuv and seg; `lang` is its TMX 1.1 name.
    """
    units = etree.iterparse(
        # a translation memory is somebody's upload: no entities, no network
        path,
        tag="{*}tu",
        resolve_entities=False,
        no_network=True,
        huge_tree=True,
    )
    found: Counter[str] = Counter()
    is_empty = True
    for _, unit in units:
        sides = dict(_read_unit(unit, languages, found))
        _forget(unit)
        if len(sides) == 2:
            is_empty = False
            yield sides[languages[0]], sides[languages[1]]
    if is_empty:
        listed = ", ".join(f"{language} ({count:,} units)" for language, count in found.items())
        raise ValueError(
            f"{path.name} has no unit with both {languages[0]} and {languages[1]}; "
            f"it has {listed or 'no language at all'}"
        )


def _read_unit(
    unit: etree._Element, languages: tuple[str, str], found: Counter[str]
) -> Iterator[tuple[str, str]]:
    """Yield the sides of a unit by language, the first of each last, and count what it has."""
    for variant in reversed(unit.findall("{*}tuv")):
        language = (variant.get(XML_LANG) or variant.get("lang") or "").lower()
        segment = variant.find("{*}seg")
        if segment is None:
            continue
        found[language] += 1
        etree.strip_elements(segment, *TMX_CODES, with_tail=False)
        for wanted in languages:
            if language == wanted.lower() or language.startswith(f"{wanted.lower()}-"):
                yield wanted, "".join(segment.itertext())


def _forget(unit: etree._Element) -> None:
    # the empty shells of what was read before would fill the memory too
    unit.clear()
    while unit.getprevious() is not None:
        del unit.getparent()[0]


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
