"""A text that was made of another one, and where each of its characters comes from.

    original  "a &lt; b"   copied "a ", replaced "&lt;" by "<", copied " b"   ->   "a < b"

Spans are [begin, end) in characters. What was replaced is traced as a whole.
"""

from bisect import bisect_right
from dataclasses import dataclass, field

Span = tuple[int, int]
Piece = tuple[int, int, int, int, bool]
"""[begin, end) in the text, then in the original; whether it was copied."""


@dataclass(slots=True)
class Rewriting:
    """Built from left to right over the original; what is not yet passed is not in the text."""

    original: str
    _parts: list[str] = field(default_factory=list)
    # Pieces that are not empty in the text: [begin, end) there and in the original.
    _begins: list[int] = field(default_factory=list)
    _pieces: list[Piece] = field(default_factory=list)
    _passed: int = 0
    _size: int = 0

    @property
    def text(self) -> str:
        """What was written so far."""
        return "".join(self._parts)

    @property
    def passed(self) -> int:
        """The place in the original up to which it was rewritten."""
        return self._passed

    @property
    def size(self) -> int:
        """Length of the text so far."""
        return self._size

    def copy(self, end: int) -> None:
        """Write the original as it is, up to `end`."""
        if end > self._passed:
            self._write(self.original[self._passed : end], end, is_copy=True)

    def replace(self, end: int, text: str) -> None:
        """Write `text` in place of the original up to `end`; either may be empty."""
        self._write(text, end, is_copy=False)

    def span(self, begin: int, end: int) -> Span:
        """Return where a span of the original went, in the text; empty if nothing is left of it."""
        touched = [each for each in self._pieces if each[2] < end and each[3] > begin]
        if begin >= end or not touched:
            place = max((each[1] for each in self._pieces if each[3] <= begin), default=0)
            return place, place
        return _forward(touched[0], begin, 0), _forward(touched[-1], end, 1)

    def origin(self, begin: int, end: int) -> Span:
        """Return where a span of the text comes from, in the original."""
        if begin >= end:
            place = self._before(begin)
            return place, place
        return self._back(begin, begin, 0), self._back(end - 1, end, 1)

    def _write(self, text: str, end: int, *, is_copy: bool) -> None:
        if text:
            self._begins.append(self._size)
            self._pieces.append((self._size, self._size + len(text), self._passed, end, is_copy))
            self._parts.append(text)
            self._size += len(text)
        self._passed = end

    def _back(self, character: int, place: int, side: int) -> int:
        piece = self._pieces[bisect_right(self._begins, character) - 1]
        begin, _, from_begin, from_end, is_copy = piece
        if not is_copy:
            return (from_begin, from_end)[side]
        return from_begin + place - begin

    def _before(self, place: int) -> int:
        return self._back(place - 1, place, 1) if place > 0 else 0


def _forward(piece: Piece, place: int, side: int) -> int:
    begin, end, from_begin, _, is_copy = piece
    if not is_copy:
        return (begin, end)[side]
    return min(max(begin + place - from_begin, begin), end)


def unchanged(text: str) -> Rewriting:
    """Return the rewriting that changes nothing."""
    rewriting = Rewriting(text)
    rewriting.copy(len(text))
    return rewriting
