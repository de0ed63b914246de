"""A stretch of text whose sentences may be found together, with what must be kept taken out of it.

    as written  "Hi {name}, <b>see</b> &lt; &#9731;"
    as read     "Hi ?, see <"           "?" is `ATOM`, which stands for {name}
    marks       <b> before "see", </b> behind it, the snowman at the end

Where each character was written is known, so what surrounds a sentence is never written anew.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from models.normalisation import Span
from service.engine.placeholders import ATOM, IsKnown, Kind, Placeholder, find
from service.engine.rewriting import Rewriting

MarkKind = Literal["point", "open", "close"]


@dataclass(frozen=True, slots=True)
class Mark:
    """What stands between two characters: a sign or a tag."""

    place: int
    """In the text as read."""
    written: Span
    """Where it stands in the text as written."""
    kind: MarkKind
    pair: int | None = None
    """The same number for both tags of an element; None if the other one is missing."""


@dataclass(frozen=True, slots=True)
class Atom:
    """What takes part in a sentence, as a word would or the space between two."""

    written: Span
    kind: Kind
    may_be_inflected: bool


@dataclass(frozen=True, slots=True)
class Flow:
    """Text as a reader reads it."""

    text: str
    marks: Sequence[Mark]
    """In the order in which they were written."""
    atoms: Mapping[int, Atom]
    """By the place of their character in the text."""
    rewritings: tuple[Rewriting, Rewriting]
    """From the text as written to the characters it means, from these to the text as read."""

    def written(self, begin: int, end: int) -> Span:
        """Return where a span of the text stands in the text as written."""
        meant, read = self.rewritings
        return meant.origin(*read.origin(begin, end))


def read_flow(meant: Rewriting, tags: Sequence[Mark], is_known: IsKnown) -> Flow:
    """Take out what must be kept.

    Args:
        meant: The characters that the text as written means, tags left out; an `ATOM` for what
            was recognised already.
        tags: Tags left out; their places are in what is meant.
    """
    return _Reader(meant, tags).read(find(meant.text, is_known))


class _Reader:
    def __init__(self, meant: Rewriting, tags: Sequence[Mark]) -> None:
        self._meant = meant
        self._text = meant.text
        self._tags = deque(tags)
        self._read = Rewriting(self._text)
        self._marks: list[Mark] = []
        self._atoms: dict[int, Atom] = {}

    def read(self, placeholders: Sequence[Placeholder]) -> Flow:
        pairs = dict(_pair(placeholders))
        places = [tag.place for tag in self._tags]
        for index, each in enumerate(placeholders):
            # Tags in the middle of it: it is none, for it could not be kept in one piece.
            if bisect_right(places, each.begin) < bisect_left(places, each.end):
                continue
            self._take_tags(each.begin)
            if each.kind == "point" and self._is_joint(each):
                self._replace(each, "joint")
            elif each.kind in ("point", "open", "close"):
                written = self._meant.origin(each.begin, each.end)
                self._mark(Mark(each.begin, written, each.kind, pairs.get(index)), each.end)
            else:
                self._replace(each, each.kind)
        self._take_tags(len(self._text))
        self._read.copy(len(self._text))
        return Flow(self._read.text, self._marks, self._atoms, (self._meant, self._read))

    def _take_tags(self, end: int) -> None:
        while self._tags and self._tags[0].place <= end:
            tag = self._tags.popleft()
            self._mark(tag, tag.place)

    def _is_joint(self, each: Placeholder) -> bool:
        before, after = self._text[each.begin - 1 : each.begin], self._text[each.end : each.end + 1]
        return _is_of_word(before) and _is_of_word(after)

    def _replace(self, each: Placeholder, kind: Kind) -> None:
        self._read.copy(each.begin)
        written = self._meant.origin(each.begin, each.end)
        self._atoms[self._read.size] = Atom(written, kind, each.may_be_inflected)
        self._read.replace(each.end, ATOM)

    def _mark(self, mark: Mark, end: int) -> None:
        """Take out a mark; what it covers in the meant text ends at `end`."""
        begin, written = mark.place, mark.written
        before, after = self._text[begin - 1 : begin], self._text[end : end + 1]
        is_apart = before.isspace() and before.splitlines() == [before]  # no line ends there
        if mark.kind == "point" and is_apart and not after.strip() and self._ends_at(mark):
            begin, written = begin - 1, (written[0] - 1, written[1])
        self._read.copy(begin)
        self._marks.append(replace(mark, place=self._read.size, written=written))
        if end > begin:
            self._read.replace(end, "")

    def _ends_at(self, mark: Mark) -> bool:
        """Return whether the space before a mark is free to be kept together with it."""
        begin = mark.place
        return self._read.passed < begin and self._meant.origin(begin - 1, begin) == (
            mark.written[0] - 1,
            mark.written[0],
        )


def _is_of_word(character: str) -> bool:
    return character.isalnum() or (character != "" and character in "_-'\u2019")


def _pair(placeholders: Sequence[Placeholder]) -> Iterator[tuple[int, int]]:
    """Yield the index of each tag that has a partner, with the place of the opening one."""
    opened: defaultdict[str, list[int]] = defaultdict(list)
    for index, each in enumerate(placeholders):
        if each.kind == "open":
            opened[each.tag].append(index)
        elif each.kind == "close" and opened[each.tag]:
            other = opened[each.tag].pop()
            yield other, placeholders[other].begin
            yield index, placeholders[other].begin
