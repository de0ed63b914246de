"""Files of lines, and tables with a row in each line, cut while they come.

A line ends with a line feed, a carriage return, or both; no other character ends one. In tables,
tabs end cells and nothing is quoted, as `text/tab-separated-values` has it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from service.batches.layout import Layout, Piece
from service.errors import InvalidDocument, InvalidRequest, TextTooLong

PIECE_CHARACTERS = 65_536
"""Two seconds of work for two cores: what a crash may lose. Each piece costs a file and some rows
in the database of jobs, and a batch may have 1 GiB."""

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)")


class LineCutter:
    """Cuts after lines.

    Args:
        max_characters: Of a line.
    """

    def __init__(self, layout: Layout, max_characters: int) -> None:
        self.layout = layout
        self._max_characters = max_characters
        self._rest = ""
        self._lines: list[str] = []
        self._room = PIECE_CHARACTERS
        self._num_lines = 0

    @property
    def line(self) -> int:
        """The line, from 1, that comes next."""
        return self._num_lines + 1

    def feed(self, text: str) -> Iterator[Piece]:
        """Yield the pieces that have become whole.

        Raises:
            TextTooLong: a line is.
            InvalidDocument: a row lacks the column.
        """
        text = self._rest + text
        lines = _LINE.findall(text)
        if text.endswith("\r"):
            lines.pop()  # a line feed may follow
        self._rest = text[sum(map(len, lines)) :]
        for line in lines:
            yield from self._add(line)
        self._check_length(self._rest)

    def close(self) -> Iterator[Piece]:
        """Yield what is left, the last line included if it has no end."""
        if self._rest:
            yield from self._add(self._rest)
        yield from self._flush()

    def check(self, line: str) -> None:
        """Refuse a line that cannot be translated."""
        self._check_length(line)

    def _add(self, line: str) -> Iterator[Piece]:
        self.check(line)
        self._num_lines += 1
        self._lines.append(line)
        self._room -= len(line)
        if self._room <= 0:
            yield from self._flush()

    def _flush(self) -> Iterator[Piece]:
        if self._lines:
            yield Piece("".join(self._lines), len(self._lines))
        self._lines, self._room = [], PIECE_CHARACTERS

    def _check_length(self, line: str) -> None:
        most = self._max_characters
        if len(line) > most and len(line.rstrip("\r\n")) > most:
            raise TextTooLong(f"line {self.line}: more than {most} characters", limit=most)


class RowCutter(LineCutter):
    """Cuts after the rows of a table.

    Args:
        column: What to translate: the number of a column from 1, or the name that the first row
            has for it. That row is then the header, and names the new column by its language.

    Raises:
        InvalidRequest: no column can have this number.
    """

    def __init__(self, layout: Layout, max_characters: int, column: str) -> None:
        super().__init__(layout, max_characters)
        self._name = column
        self._has_header = not column.isdecimal()
        if not self._has_header:
            if int(column) == 0:
                raise InvalidRequest("column: 0 is none, they are counted from 1", field="column")
            self.layout = replace(layout, column=int(column) - 1)

    def check(self, line: str) -> None:
        """Refuse a row without the column; an empty line stays one."""
        super().check(line)
        cells = line.rstrip("\r\n").count("\t") + 1
        if self.layout.column >= cells and line.strip("\r\n"):
            message = f"line {self.line}: {cells} columns, of which none is {self._name[:40]!a}"
            raise InvalidDocument(message, field="column")

    def close(self) -> Iterator[Piece]:
        """Yield what is left.

        Raises:
            InvalidDocument: there is no header.
        """
        yield from super().close()
        if self._has_header:
            raise InvalidDocument("the table is empty, and has no header", field="column")

    def _add(self, line: str) -> Iterator[Piece]:
        if not self._has_header:
            yield from super()._add(line)
            return
        names = line.rstrip("\r\n")
        self.layout = replace(self.layout, column=self._find(names.split("\t")))
        self._has_header = False
        self._num_lines += 1
        yield Piece(f"{names}\t{self.layout.target}{line[len(names) :]}", 0)

    def _find(self, names: Sequence[str]) -> int:
        if self._name not in names:
            message = f"line 1: {len(names)} columns, of which none is {self._name[:40]!a}"
            raise InvalidDocument(message, field="column")
        return names.index(self._name)
