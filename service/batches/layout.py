"""Where in a file of a batch the texts stand, and what is made of a piece of it."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from service.formats import Draft, FormatOptions, Template, Translated, plain, tmx

BatchFormat = Literal["lines", "tsv", "tmx"]
BATCH_FORMATS: tuple[BatchFormat, ...] = get_args(BatchFormat)

_ROW = re.compile(r"([^\r\n]*)(\r\n|\r|\n|\Z)")
_WITHIN_CELLS = str.maketrans("\t\r\n", "   ")


@dataclass(frozen=True, slots=True)
class Layout:
    """What must be known to read any piece of a file by itself."""

    format: BatchFormat
    source: str
    target: str
    column: int = 0
    """Of a table, the one to translate, from 0."""
    root: str = ""
    """Of XML, the tag that opens the document."""

    def read(self, text: str) -> Draft:
        """Find the texts in a piece; the draft writes the piece with their translations.

        Raises:
            InvalidDocument: it is XML that cannot be read piece by piece.
        """
        return _READERS[self.format](self, text)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a file."""

    text: str
    size: int
    """Lines, rows or units; 0 if it stays as it is."""


class Cutter(Protocol):
    """Cuts a file that comes in blocks into pieces that can be read by themselves.

    `feed` and `close` raise `InvalidRequest` for what cannot be translated, and tell the line.
    """

    layout: Layout
    """Completed by what the file says, before the first piece that has a size."""

    @property
    def line(self) -> int:
        """The line, from 1, that comes next."""

    def feed(self, text: str) -> Iterator[Piece]:
        """Yield the pieces that have become whole."""

    def close(self) -> Iterator[Piece]:
        """Yield what is left at the end of the file."""


def _read_lines(layout: Layout, text: str) -> Draft:
    return plain.parse(text.encode(), _options(layout))


def _read_rows(layout: Layout, text: str) -> Draft:
    template = Template()
    for match in _ROW.finditer(text):
        row, end = match.groups()
        if row:
            template.keep(f"{row}\t")
            template.ask(row.split("\t")[layout.column], restore=_cell)
        template.keep(end)
    return template.draft(str.encode)


def _read_units(layout: Layout, text: str) -> Draft:
    """Read units as if there were no others; what is around them here is not written."""
    before, after = f"{layout.root}<body>", "</body></tmx>"
    draft = tmx.parse(f"{before}{text}{after}".encode(), _options(layout))

    def render(translations: Sequence[Translated]) -> bytes:
        written = draft.render(translations)
        begin, end = written.index(b"<body>") + len(b"<body>"), written.rindex(b"</body>")
        return written[begin:end]

    return Draft(draft.segments, render)


def _options(layout: Layout) -> FormatOptions:
    return FormatOptions(layout.source, layout.target)


def _cell(text: str) -> str:
    """Return a text without what would end a cell."""
    return text.translate(_WITHIN_CELLS)


_READERS: dict[BatchFormat, Callable[[Layout, str], Draft]] = {
    "lines": _read_lines,
    "tsv": _read_rows,
    "tmx": _read_units,
}
