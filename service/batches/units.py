"""Translation memories (TMX), cut between their units while they come.

Expat tells where the units are, and sees that all of the file is well-formed. What is around them
is never held as a tree, and stays as it was written.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from xml.parsers import expat  # entities are refused, and nothing is fetched
from xml.sax.saxutils import quoteattr  # parses nothing

from service.batches.layout import Layout, Piece
from service.errors import InvalidDocument, TextTooLong

PIECE_BYTES = 262_144
"""Some hundred units, a tenth of which is text to translate: a second of work for two cores."""
MAX_UNIT_BYTES = 1_048_576
"""Of a unit, and of all that comes before the first one: they are held in memory."""
MAX_DEPTH = 64


class UnitCutter:
    """Cuts before units, and behind the last one."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._parser = expat.ParserCreate("utf-8")
        self._parser.StartElementHandler = self._open
        self._parser.EndElementHandler = self._shut
        self._parser.EntityDeclHandler = self._refuse_entity
        self._parser.SkippedEntityHandler = self._refuse_entity
        self._depth = 0
        self._has_body = self._is_in_body = self._is_over = False
        self._cuts: list[int] = []
        """Where to cut, in bytes from the beginning of the file; seen, but not yet done."""
        self._buffer = bytearray()
        """From the beginning of the piece that is not whole yet."""
        self._begin = 0
        """Of the buffer, in bytes from the beginning of the file, as is all that follows."""
        self._unit_begin = 0
        self._num_units = 0
        """In the buffer."""

    @property
    def line(self) -> int:
        """The line, from 1, that comes next."""
        return self._parser.CurrentLineNumber

    def feed(self, text: str) -> Iterator[Piece]:
        """Yield the pieces that have become whole.

        Raises:
            InvalidDocument: it is no XML, no TMX, or more than should be.
            TextTooLong: a unit is.
        """
        content = text.encode()
        self._buffer += content
        self._parse(content, is_last=False)
        for cut in self._cuts:
            yield from self._cut(cut)
        self._cuts = []
        end = self._begin + len(self._buffer)
        if self._is_over and self._begin < end:
            yield self._take(end)
        self._check_room(end)

    def close(self) -> Iterator[Piece]:
        """Yield nothing: the file ends behind its units.

        Raises:
            InvalidDocument: it ends too early.
        """
        self._parse(b"", is_last=True)
        if not self._has_body:
            raise InvalidDocument("the TMX has no body", field="body")
        yield from ()

    def _parse(self, content: bytes, *, is_last: bool) -> None:
        try:
            self._parser.Parse(content, is_last)
        except expat.ExpatError as failure:
            reason = expat.errors.messages.get(failure.code, "")
            message = f"line {failure.lineno}: the XML is not well-formed: {reason}"
            raise InvalidDocument(message, field="body") from None

    def _cut(self, place: int) -> Iterator[Piece]:
        """Go on to the next unit, or behind the last one, and cut if it is time to."""
        is_last = self._is_over and place == self._cuts[-1]
        if self._num_units == 0 or place - self._begin >= PIECE_BYTES or is_last:
            yield self._take(place)
        self._check_room(place)
        self._unit_begin = place
        self._num_units += not is_last

    def _take(self, end: int) -> Piece:
        size = end - self._begin
        piece = Piece(self._buffer[:size].decode(), self._num_units)
        del self._buffer[:size]
        self._begin, self._num_units = end, 0
        return piece

    def _check_room(self, end: int) -> None:
        """Refuse what would have to be held in memory, in the buffer or by the parser."""
        if self._is_over:
            self._unit_begin = max(self._unit_begin, self._parser.CurrentByteIndex)
        if end - self._unit_begin > MAX_UNIT_BYTES:
            where = "behind the units" if self._is_over else "in a unit, or before the first one"
            message = f"line {self.line}: more than {MAX_UNIT_BYTES} bytes {where}"
            raise TextTooLong(message, field="body", limit=MAX_UNIT_BYTES)

    def _open(self, name: str, attributes: Mapping[str, str]) -> None:
        if self._depth == 0:
            self._begin_document(name, attributes)
        elif self._depth == 1 and name == "body":
            self._refuse(self._has_body, "there is a second body")
            self._has_body = self._is_in_body = True
        elif name == "tu":
            self._refuse(self._depth != 2 or not self._is_in_body, "a unit is not in the body")
            self._cuts.append(self._parser.CurrentByteIndex)
        self._depth += 1
        self._refuse(self._depth > MAX_DEPTH, f"elements are nested deeper than {MAX_DEPTH}")

    def _shut(self, name: str) -> None:
        self._depth -= 1
        if self._depth == 1 and self._is_in_body:
            self._is_in_body, self._is_over = False, True
            self._cuts.append(self._parser.CurrentByteIndex)

    def _begin_document(self, name: str, attributes: Mapping[str, str]) -> None:
        self._refuse(name != "tmx", "the file is no TMX: its root is another element")
        # A namespace for all elements would hide them from who looks for their names.
        kept = {key: value for key, value in attributes.items() if key != "xmlns"}
        written = "".join(f" {key}={quoteattr(value)}" for key, value in kept.items())
        self.layout = replace(self.layout, root=f"<tmx{written}>")

    def _refuse_entity(self, name: str, *_: object) -> None:
        self._refuse(True, "XML with entities of its own is not accepted")

    def _refuse(self, is_so: bool, why: str) -> None:
        if is_so:
            raise InvalidDocument(f"line {self.line}: {why}", field="body")
