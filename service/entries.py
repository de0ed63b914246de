"""The entries of a glossary: read, written and held to limits."""

import csv
import io
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from service.engine import Term
from service.errors import InvalidRequest

EntriesFormat = Literal["tsv", "csv"]

_FORBIDDEN = {"Cc", "Cs", "Zl", "Zp"}
"""Categories of characters that would end a line or a cell, or are none."""


@dataclass(frozen=True, slots=True)
class GlossaryLimits:
    """The most that may be laid down."""

    max_glossaries: int
    """Of one caller."""
    max_entries: int
    """Of one glossary, in all of its dictionaries."""
    max_term_characters: int
    max_name_characters: int = 1024
    max_dictionaries: int = 100
    """Of one glossary."""


def parse_entries(text: str, form: EntriesFormat, limits: GlossaryLimits) -> tuple[Term, ...]:
    """Read entries: a source and a target in each line, separated by a tab or as CSV has it.

    Lines without anything are left out. CSV may name the languages in two further columns.

    Raises:
        InvalidRequest: a line is no entry, or an entry breaks a limit or comes twice.
    """
    reader = csv.reader(io.StringIO(text, newline=""), _DIALECTS[form], strict=True)

    def rows() -> Iterator[tuple[str, list[str]]]:
        try:
            yield from ((f"line {reader.line_num}", row) for row in reader)
        except csv.Error as error:
            raise invalid(f"line {reader.line_num}: {error}") from None

    return tuple(_check(_read_terms(rows(), max_columns=4 if form == "csv" else 2), limits))


def check_entries(entries: Sequence[Term], limits: GlossaryLimits) -> Iterator[Term]:
    """Yield entries, of which there must be any.

    Raises:
        InvalidRequest: an entry breaks a limit or comes twice.
    """
    return _check(((f"entry {i}", term) for i, term in enumerate(entries, 1)), limits)


def render_entries(entries: Sequence[Term], form: EntriesFormat) -> str:
    """Write entries as `Glossaries.parse` reads them, without a line end behind the last."""
    text = io.StringIO()
    pairs = ((each.source, each.target) for each in entries)
    csv.writer(text, _DIALECTS[form], lineterminator="\n").writerows(pairs)
    return text.getvalue().removesuffix("\n")


class _Tabs(csv.excel_tab):
    """Lines as they are: a quotation mark is a character like any other."""

    quoting = csv.QUOTE_NONE
    quotechar = None


_DIALECTS: dict[EntriesFormat, type[csv.Dialect]] = {"tsv": _Tabs, "csv": csv.excel}


def _read_terms(
    places_and_rows: Iterable[tuple[str, list[str]]], max_columns: int
) -> Iterator[tuple[str, Term]]:
    for place, row in places_and_rows:
        if not any(cell.strip() for cell in row):
            continue
        if not 2 <= len(row) <= max_columns:
            raise invalid(f"{place}: {len(row)} columns instead of 2")
        yield place, Term(row[0].strip(), row[1].strip())


def _check(places_and_terms: Iterable[tuple[str, Term]], limits: GlossaryLimits) -> Iterator[Term]:
    """Yield terms; the place of one is for the message if it cannot be kept."""
    place_by_source: dict[str, str] = {}
    for place, term in places_and_terms:
        _check_term(term, place, limits.max_term_characters)
        first = place_by_source.setdefault(term.source, place)
        if first != place:
            raise invalid(f"{place}: its source is that of {first}")
        if len(place_by_source) > limits.max_entries:
            raise too_many_entries(len(place_by_source), limits)
        yield term
    if not place_by_source:
        raise invalid("there are no entries")


def _check_term(term: Term, place: str, limit: int) -> None:
    for side in (term.source, term.target):
        if not side.strip() or len(side) > limit:
            message = f"{place}: a term of {len(side)} characters, not 1 to {limit}"
            raise invalid(message, limit=limit)
        if any(unicodedata.category(character) in _FORBIDDEN for character in side):
            raise invalid(f"{place}: a term with a control character")


def too_many_entries(number: int, limits: GlossaryLimits) -> InvalidRequest:
    """Return the failure for so many entries."""
    limit = limits.max_entries
    return invalid(f"{number} entries exceed {limit}", limit=limit)


def invalid(message: str, *, field: str = "entries", limit: float | None = None) -> InvalidRequest:
    """Return the failure for what cannot be an entry, or another part of a glossary."""
    return InvalidRequest(message, field=field, limit=limit)
