r"""From tags to flows: which text belongs together, and what of it is to be translated.

    <p>One <b>two</b>.</p><p translate="no">three</p><p>four<code>5</code></p>
       \------ flow -----/                               \----- flow -----/

A block ends a flow, an inline tag is a mark in one; what must not be translated is an atom in the
flow around it, or stays outside of all flows. Every event says where it was written.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from service.engine.flow import Mark, MarkKind
from service.engine.placeholders import ATOM
from service.engine.rewriting import Rewriting

# Elements open at a time, as in browsers: what is deeper is a tag without a partner.
_DEEPEST = 512

Role = Literal["block", "inline", "kept block", "kept inline"]
"""Whether an element ends a flow, and whether its content stays as it is."""


class Event(NamedTuple):
    """Something a reader met."""

    kind: Literal["start", "end", "alone", "text", "other"]
    """`alone` is an element without content; `other` a comment, a declaration and the like."""
    begin: int
    end: int
    name: str = ""
    """Of a tag, as elements are compared by it."""
    meaning: str = ""
    """Of text: the characters it stands for."""
    role: Role = "inline"
    """Of a tag."""
    translates: bool | None = None
    """What a tag says of its element: whether it is to be translated, if it says so."""


class ReadFlow(NamedTuple):
    """The characters of a flow and the tags in it."""

    meant: Rewriting
    tags: list[Mark]


@dataclass(slots=True)
class _Element:
    name: str
    begin: int
    is_block: bool
    translates: bool


class FlowBuilder:
    """Follows the events of a text, in its order."""

    def __init__(self, text: str, closes: Callable[[str, str], bool]) -> None:
        """See the class.

        Args:
            closes: Whether the tag that is named second ends an open element named first.
        """
        self._text = text
        self._closes = closes
        self._flows: list[ReadFlow] = []
        self._open: list[_Element] = []
        # The element that is kept as it is, and how many of its name are open in it.
        self._kept: _Element | None = None
        self._depth = 0
        self._begin(0)

    def build(self, events: Iterable[Event]) -> list[ReadFlow]:
        """Return the flows that hold more than white space."""
        for event in events:
            if self._kept:
                self._skip(event)
            elif event.kind == "text":
                self._read_text(event)
            elif event.kind == "start":
                self._start(event)
            elif event.kind == "end":
                self._end(event)
            elif event.role.endswith("block"):
                self._flush(event.end)
            else:
                self._mark(event, "point", None)
        if self._kept:
            self._end_kept(len(self._text))
        self._flush(len(self._text))
        return self._flows

    @property
    def _translates(self) -> bool:
        return not self._open or self._open[-1].translates

    def _begin(self, place: int) -> None:
        self._flow = ReadFlow(Rewriting(self._text), [])
        self._flow.meant.replace(place, "")

    def _flush(self, end: int) -> None:
        if self._flow.meant.size and not self._flow.meant.text.isspace():
            self._flows.append(self._flow)
        self._begin(end)

    def _read_text(self, event: Event) -> None:
        written = self._text[event.begin : event.end]
        if not self._translates:
            self._flow.meant.replace(event.end, "")
        elif written == event.meaning:
            self._flow.meant.copy(event.end)
        else:
            self._flow.meant.replace(event.end, event.meaning)

    def _mark(self, event: Event, kind: MarkKind, pair: int | None) -> None:
        written = event.begin, event.end
        self._flow.tags.append(Mark(self._flow.meant.size, written, kind, pair))
        self._flow.meant.replace(event.end, "")

    def _start(self, event: Event) -> None:
        self._close_implied(event)
        translates = self._translates if event.translates is None else event.translates
        is_block = event.role.endswith("block")
        element = _Element(event.name, event.begin, is_block, translates)
        is_left_out = self._translates and not translates and not is_block
        if is_block:
            self._flush(event.end)
        if event.role.startswith("kept") or is_left_out:
            self._kept, self._depth = element, 1
            return
        is_too_deep = len(self._open) == _DEEPEST
        if not is_too_deep:
            self._open.append(element)
        if not is_block:
            self._mark(event, "open", None if is_too_deep else event.begin)

    def _close_implied(self, event: Event) -> None:
        while self._open and self._closes(self._open[-1].name, event.name):
            self._flush(event.begin)
            self._open.pop()

    def _skip(self, event: Event) -> None:
        assert self._kept, "somebody is kept"
        if event.name == self._kept.name and event.kind in ("start", "end"):
            self._depth += 1 if event.kind == "start" else -1
            if not self._depth:
                self._end_kept(event.end)

    def _end_kept(self, end: int) -> None:
        assert self._kept, "somebody is kept"
        if self._kept.is_block or not self._translates:
            self._flush(end)
        else:
            self._flow.meant.replace(end, ATOM)
        self._kept = None

    def _end(self, event: Event) -> None:
        nearest = range(len(self._open) - 1, -1, -1)
        place = next((i for i in nearest if self._open[i].name == event.name), None)
        is_block = event.role.endswith("block") if place is None else self._open[place].is_block
        if is_block:
            self._flush(event.end)
            if place is not None:
                del self._open[place:]
        elif place is not None:
            self._mark(event, "close", self._open.pop(place).begin)
        else:
            self._mark(event, "close", None)
