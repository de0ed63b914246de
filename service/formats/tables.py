"""Tables of text, with commas, semicolons or tabs between the cells; the first row is the header.

Cells come back quoted as they were if all of them were, or only those that had to be.
"""

import csv
import io
from collections.abc import Sequence
from typing import Literal

from service.errors import InvalidDocument
from service.formats.draft import (
    Draft,
    FormatOptions,
    Segment,
    Translated,
    edges,
    has_letters,
    markup_of,
)
from service.formats.encodings import decode

_DELIMITERS = ",;\t|"
_SAMPLE_ROWS = 50

Quoting = Literal[0, 1]
Rows = list[list[str]]


def parse(content: bytes, options: FormatOptions) -> Draft:
    """Parse a table.

    Raises:
        InvalidDocument: it is none, or lacks a column that is asked for.
    """
    decoded = decode(content, options.encoding)
    delimiter = _find_delimiter(decoded.text)
    rows = _read(decoded.text, delimiter)
    columns = _find_columns(rows, options.columns)
    places = [
        (row, column)
        for row in range(1, len(rows))
        for column, cell in enumerate(rows[row])
        if (columns is None or column in columns) and has_letters(cell)
    ]
    texts = [edges(rows[row][column])[1] for row, column in places]
    quoting = _find_quoting(decoded.text, rows, delimiter)

    def render(translations: Sequence[Translated]) -> bytes:
        translated_rows = [list(row) for row in rows]
        for (row, column), translated in zip(places, translations, strict=True):
            head, _, tail = edges(rows[row][column])
            translated_rows[row][column] = f"{head}{translated.text}{tail}"
        return decoded.encode(_write(decoded.text, translated_rows, delimiter, quoting))

    return Draft([Segment(text, markup_of(text)) for text in texts], render)


def _find_delimiter(text: str) -> str:
    """Return what divides the first rows into equally many cells, into the most of them."""

    def num_columns(delimiter: str) -> int:
        rows = [row for row in _read(text, delimiter, _SAMPLE_ROWS) if row]
        widths = {len(row) for row in rows}
        return widths.pop() if len(widths) == 1 else 0

    return max(_DELIMITERS, key=num_columns)


def _read(text: str, delimiter: str, most: int | None = None) -> Rows:
    rows: Rows = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for row in reader:
            rows.append(row)
            if len(rows) == most:
                break
    except csv.Error as error:
        message = f"the file is no table from line {reader.line_num} on: {error}"
        raise InvalidDocument(message, field="file") from None
    return rows


def _write(original: str, rows: Rows, delimiter: str, quoting: Quoting) -> str:
    written = io.StringIO(newline="")
    line_end = "\r\n" if "\r\n" in original else "\n"
    writer = csv.writer(written, delimiter=delimiter, lineterminator=line_end, quoting=quoting)
    writer.writerows(rows)
    text = written.getvalue()
    return text if original.endswith(("\n", "\r")) else text.removesuffix(line_end)


def _find_quoting(original: str, rows: Rows, delimiter: str) -> Quoting:
    is_quoted = _write(original, rows, delimiter, csv.QUOTE_ALL) == original
    return csv.QUOTE_ALL if is_quoted else csv.QUOTE_MINIMAL


def _find_columns(rows: Rows, wanted: Sequence[str]) -> set[int] | None:
    if not wanted:
        return None
    names = rows[0] if rows else []
    columns = set()
    for each in wanted:
        if each in names:
            columns.add(names.index(each))
        elif each.isdecimal() and 1 <= int(each) <= len(names):
            columns.add(int(each) - 1)
        else:
            message = f"the table has no column {each[:40]!a}, but {len(names)} columns"
            raise InvalidDocument(message, field="columns")
    return columns
