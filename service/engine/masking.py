"""Sentences as the model reads them: with names and numbers for what it could not copy.

A model copies what it knows: a first name for `{user}`, a small number for `%d`, a town for a URL.
On held-out lines a placeholder as it stands came back in none of 150 sentences and "Tom" in its
place in 142 to 150; a sentence without the word would be no sentence. What stands between words is
taken out and its place noted.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from models.normalisation import Span
from service.engine.flow import Atom, Flow, Mark
from service.engine.placeholders import ATOM
from service.engine.placement import PlacedMark
from service.engine.rewriting import Rewriting

LONGEST_NAME = "Jackson"
_NAMES = ("Tom", "Jackson", "Boston", "John", "Berlin", "Maria")
_PLACES = ("Boston", "Berlin", "Tom", "Jackson", "John", "Maria")
_NUMBERS = ("23", "17", "7", "30", "12", "2013", "15", "18")
_PROXIES: Mapping[str, tuple[str, ...]] = {"name": _NAMES, "place": _PLACES, "number": _NUMBERS}
# Runs that normalisation would make one space of, and a reader would miss.
_LAYOUT = re.compile(r"[^\S\n\r]*[\n\r]\s*|\t\s*|\s*\t|[ ]{2,}")
NUMBER = re.compile(r"(?<![\w.,])\d+(?:[.,:'\u00a0\u202f/]\d+)*(?!\w)")
_ATOM = re.compile(ATOM)
_ATOM_OR_LAYOUT = re.compile(f"{ATOM}|{_LAYOUT.pattern}")


@dataclass(frozen=True, slots=True)
class Proxy:
    """What the model reads in a placeholder's place."""

    begin: int
    text: str
    written: str
    may_be_inflected: bool
    is_glued_before: bool
    """Whether a space was put before it, so that it is a word."""
    is_glued_behind: bool

    @property
    def end(self) -> int:
        """Behind its last character."""
        return self.begin + len(self.text)


@dataclass(frozen=True, slots=True)
class MaskedSentence:
    """A sentence as the model reads it, and how to make of its translation what it should be."""

    text: str
    """What the model reads."""
    span: Span
    """Where it stands in the text as written, tags at its ends included."""
    flow: Flow
    rewriting: Rewriting
    """From the flow's text to what the model reads."""
    proxies: tuple[Proxy, ...]
    marks: tuple[PlacedMark, ...]
    spaces: tuple[PlacedMark, ...]
    """Line breaks, tabs and runs of spaces in it."""
    numbers: tuple[Span, ...]
    """Those that the model is trusted with."""
    escape: Callable[[str], str]

    @property
    def needs_attention(self) -> bool:
        """Whether the model's attention must be known to restore it."""
        return bool(self.proxies or self.marks or self.spaces or self.numbers)

    def source_span(self, begin: int, end: int) -> Span:
        """Return where a span of what the model reads stands in the text as written."""
        return self.flow.written(*self.rewriting.origin(begin, end))


class Cutter:
    """Cuts sentences out of a flow, from left to right."""

    def __init__(
        self, text: str, flow: Flow, escape: Callable[[str], str], *, keeps_layout: bool
    ) -> None:
        self._text = text
        self._flow = flow
        self._escape = escape
        self._keeps_layout = keeps_layout
        self._marks = deque(flow.marks)

    def cut(self, begin: int, end: int) -> MaskedSentence:
        """Return the sentence that stands at a span of the flow's text."""
        marks = self._take_marks(begin, end)
        written = self._flow.written(begin, end)
        edges = [written, *(mark.written for mark in marks)]
        span = min(edge[0] for edge in edges), max(edge[1] for edge in edges)
        masking = _Masking(self._text, self._flow, begin, end, keeps_layout=self._keeps_layout)
        masking.run(marks)
        return MaskedSentence(
            text=masking.rewriting.text,
            span=span,
            flow=self._flow,
            rewriting=masking.rewriting,
            proxies=tuple(masking.proxies),
            marks=tuple(masking.marks),
            spaces=tuple(masking.spaces),
            numbers=tuple(_trusted_numbers(masking.rewriting.text, masking.proxies)),
            escape=self._escape,
        )

    def _take_marks(self, begin: int, end: int) -> list[Mark]:
        """Return the marks in a sentence; at its ends those only whose partner is within."""
        while self._marks and self._marks[0].place < begin:
            self._marks.popleft()
        near: list[Mark] = []
        while self._marks and self._marks[0].place <= end:
            near.append(self._marks.popleft())
        inner = [i for i, mark in enumerate(near) if begin < mark.place < end]
        pairs = {near[i].pair for i in inner} - {None}
        # Marks may follow each other: the outermost that is needed brings those further in.
        first = [i for i, mark in enumerate(near) if mark.place == begin and mark.pair in pairs]
        last = [i for i, mark in enumerate(near) if mark.place == end and mark.pair in pairs]
        taken = [*first, *inner, *last]
        kept = near[min(taken) : max(taken) + 1] if taken else []
        # What was not taken at the end may belong to the next sentence.
        rest = near[max(taken) + 1 :] if taken else near
        self._marks.extendleft(mark for mark in reversed(rest) if mark.place == end)
        return kept


class _Masking:
    """Makes of a stretch of a flow what the model reads."""

    def __init__(self, text: str, flow: Flow, begin: int, end: int, *, keeps_layout: bool) -> None:
        self._text = text
        self._flow = flow
        self._end = end
        self._keeps_layout = keeps_layout
        self._sentence = flow.text[begin:end]
        self.rewriting = Rewriting(flow.text)
        self.rewriting.replace(begin, "")
        self.proxies: list[Proxy] = []
        self.marks: list[PlacedMark] = []
        self.spaces: list[PlacedMark] = []

    def run(self, marks: Sequence[Mark]) -> None:
        for mark in marks:
            self._read_to(mark.place)
            written = self._text[slice(*mark.written)]
            self.marks.append(PlacedMark(self.rewriting.size, written, mark.kind, mark.pair))
        self._read_to(self._end)

    def _read_to(self, end: int) -> None:
        pattern = _ATOM_OR_LAYOUT if self._keeps_layout else _ATOM
        for match in pattern.finditer(self._flow.text, self.rewriting.passed, end):
            self.rewriting.copy(match.start())
            if match.group() == ATOM:
                self._replace(self._flow.atoms[match.start()])
            else:
                written = self._text[slice(*self._flow.written(*match.span()))]
                self.spaces.append(PlacedMark(self.rewriting.size, written, "point"))
                self.rewriting.replace(match.end(), " ")
        self.rewriting.copy(end)

    def _replace(self, atom: Atom) -> None:
        written = self._text[slice(*atom.written)]
        begin, end = self.rewriting.passed, self.rewriting.passed + 1
        proxy = self._choose_proxy(atom)
        if atom.kind == "joint":
            self.spaces.append(PlacedMark(self.rewriting.size, written, "point"))
            self.rewriting.replace(end, " ")
        elif not proxy:
            self.marks.append(PlacedMark(self.rewriting.size, written, "point"))
            self.rewriting.replace(end, "")
        else:
            is_glued_before = self._has_word_before
            is_glued_behind = end < self._end and _is_of_word(self._flow.text[end])
            self.rewriting.replace(begin, " " * is_glued_before)
            self.proxies.append(
                Proxy(
                    self.rewriting.size,
                    proxy,
                    written,
                    atom.may_be_inflected,
                    is_glued_before,
                    is_glued_behind,
                )
            )
            self.rewriting.replace(end, proxy + " " * is_glued_behind)

    def _choose_proxy(self, atom: Atom) -> str:
        used = {proxy.text for proxy in self.proxies}
        choice = (*_PROXIES.get(atom.kind, ()), *_NAMES, *_NUMBERS)
        free = (each for each in choice if each not in used and each not in self._sentence)
        return next(free, "")

    @property
    def _has_word_before(self) -> bool:
        return self.rewriting.size > 0 and _is_of_word(self.rewriting.text[-1])


def _is_of_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _trusted_numbers(text: str, proxies: Sequence[Proxy]) -> Iterator[Span]:
    begins = {proxy.begin for proxy in proxies}
    for match in NUMBER.finditer(text):
        if match.start() not in begins:
            yield match.span()
