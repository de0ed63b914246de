"""What becomes of a file while it comes: it is decoded, cut, looked through, and written down.

Whoever sends what cannot be translated hears of it as soon as it has come, and nothing is kept.
"""

import threading
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

from service.batches.files import BatchFiles, PieceWriter, Record
from service.batches.layout import BatchFormat, Cutter, Layout, Piece
from service.batches.lines import LineCutter, RowCutter
from service.batches.units import UnitCutter
from service.engine import Term
from service.errors import InvalidDocument, TooLarge
from service.formats import BlockDecoder, find_xml_encoding


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """The most that is accepted, and how long it is kept."""

    max_lines: int
    """Or rows, or units, of a batch."""
    max_characters: int
    """Of a line."""
    max_batches: int
    """Kept at a time, of all owners; those that are still coming count."""
    keep_seconds: float
    """Since the batch was last worked on."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted of a file."""

    format: BatchFormat
    source: str
    target: str
    column: str = "1"
    """Of a table, its number from 1, or its name in the first row."""
    encoding: str | None = None
    """Of lines and tables without a byte order mark; UTF-8 if None."""
    owner: str | None = None
    """Who alone may see it; whoever knows its id if None."""
    beam: int | None = None
    """Width of the beam; the model's own if None."""
    length_penalty: float | None = None
    """Exponent of the length normalisation; the model's own if None."""
    split: Literal["sentences", "lines"] = "sentences"
    """Whether sentences are found in a text, or each is one."""
    terms: tuple[Term, ...] = ()
    """What must be translated in a given way."""


class Arrival:
    """A file that comes in blocks.

        begin -> feed ... feed -> measure -> keep        or, at any time, abandon

    Each may be called in another thread.

    Raises:
        InvalidRequest: the order makes no sense.
    """

    def __init__(self, files: BatchFiles, id: str, order: Order, limits: BatchLimits) -> None:
        self.id = id
        self._files = files
        self._order = order
        self._limits = limits
        self._cutter = _cutter(order, limits)
        self._decoder = (
            BlockDecoder(None, find_xml_encoding)
            if order.format == "tmx"
            else BlockDecoder(order.encoding)
        )
        self._opened = ExitStack()
        self._writer: PieceWriter | None = None
        self._size = self._characters = 0
        # A request that is cancelled does not wait for the thread that works for it.
        self._working = threading.Lock()

    def begin(self) -> None:
        """Make room.

        Raises:
            StoreUnavailable: the disk is full, or cannot be written to.
        """
        with self._working:
            self._folder = self._opened.enter_context(self._files.folders.create(self.id))
            self._writer = self._opened.enter_context(self._files.writing(self._folder))

    def feed(self, block: bytes) -> None:
        """Take in the next bytes.

        Raises:
            InvalidRequest: they cannot be translated.
            OSError: they cannot be kept; to be told to `abandon`.
        """
        with self._working:
            self._take(block, is_last=False)

    def measure(self) -> int:
        """Take note of the end; return the characters to translate.

        Raises:
            InvalidRequest: the file ends too early.
            OSError: its end cannot be kept; to be told to `abandon`.
        """
        with self._working:
            self._take(b"", is_last=True)
            for piece in self._cutter.close():
                self._add(piece)
            return self._characters

    def keep(self) -> Record:
        """Let all of it appear on the disk.

        Raises:
            StoreUnavailable: the disk is full, or cannot be written to.
            OSError: for the same reason; to be told to `abandon`.
        """
        order = self._order
        record = Record(
            layout=self._cutter.layout,
            owner=order.owner,
            encoding=self._decoder.encoding,
            mark=self._decoder.mark.hex(),
            size=self._size,
            characters=self._characters,
            beam=order.beam,
            length_penalty=order.length_penalty,
            split=order.split,
        )
        with self._working:
            assert self._writer is not None, "begun before"
            self._writer.close()
            self._files.describe(self._folder, record, order.terms)
            self._opened.close()
        return record

    def abandon(self, failure: BaseException) -> None:
        """Remove what was written, unless it has been kept.

        Raises:
            StoreUnavailable: the failure is that the disk is full, or cannot be written to.
        """
        with self._working:
            self._opened.__exit__(type(failure), failure, failure.__traceback__)

    def _take(self, block: bytes, *, is_last: bool) -> None:
        text = self._decoder.decode(block, is_last=is_last)
        for piece in self._cutter.feed(text):
            self._add(piece)
        if self._decoder.fault:
            message = f"line {self._cutter.line}: {self._decoder.fault}"
            raise InvalidDocument(message, field="body")

    def _add(self, piece: Piece) -> None:
        assert self._writer is not None, "begun before"
        self._size += piece.size
        if self._size > self._limits.max_lines:
            most, what = self._limits.max_lines, _UNITS[self._order.format]
            raise TooLarge(f"more than {most} {what}", field="body", limit=most)
        if piece.size:
            draft = self._cutter.layout.read(piece.text)
            self._characters += sum(len(segment.text) for segment in draft.segments)
        self._writer.add(piece)


_UNITS: dict[BatchFormat, str] = {"lines": "lines", "tsv": "rows", "tmx": "units"}


def _cutter(order: Order, limits: BatchLimits) -> Cutter:
    layout = Layout(order.format, order.source, order.target)
    match order.format:
        case "lines":
            return LineCutter(layout, limits.max_characters)
        case "tsv":
            return RowCutter(layout, limits.max_characters, order.column)
        case "tmx":
            return UnitCutter(layout)
