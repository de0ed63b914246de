"""Parallel text on disk: two line-aligned files, one TSV or one TMX, read pair by pair."""

import codecs
from collections import Counter
from collections.abc import Iterator
from itertools import islice, zip_longest
from pathlib import Path

from lxml import etree

from training.text_recipe import TextRecipe

Pair = tuple[str, str]
"""One sentence in both languages, in the order of the text's `languages`."""

XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
# what these hold is the markup of a document; "hi", the one other element, holds words
TMX_CODES = ("{*}bpt", "{*}ept", "{*}it", "{*}ph", "{*}ut")
BYTE_ORDER_MARK = "\ufeff"


def read_pairs(text: TextRecipe, corpora: Path) -> Iterator[Pair]:
    """Yield the pairs of a text as they stand, or the first so many that it asks for.

    Raises:
        ValueError: a file is missing, empty or not UTF-8, the two sides differ in length, or a
            translation memory lacks the languages.
    """
    try:
        yield from islice(_read(text, corpora), text.pairs)
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


def _read(text: TextRecipe, corpora: Path) -> Iterator[Pair]:
    if text.files is not None:
        return _read_files(*(corpora / path for path in text.files))
    if text.tsv is not None:
        return _read_tsv(corpora / text.tsv)
    assert text.tmx is not None  # a text has one form
    return _read_tmx(corpora / text.tmx, text.languages)


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
