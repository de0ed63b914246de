"""What every format makes of a file: its segments, and how to put translations in their place."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

_TAG = re.compile(r"</?[a-z][^<>]*>", re.IGNORECASE)

MarkupKind = Literal["html", "xml"]
SplitMode = Literal["sentences", "nonewlines"]


@dataclass(frozen=True, slots=True)
class Segment:
    """A text to be translated by itself; it neither begins nor ends with white space."""

    text: str
    markup: MarkupKind | None = None
    """How to read the tags in it; None if it has none."""
    split: SplitMode = "sentences"
    """`nonewlines` where a newline is not the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Translated:
    """The translation of a segment."""

    text: str
    is_whole: bool = True
    """Whether all of its placeholders and tags are still there."""


@dataclass(frozen=True, slots=True)
class FormatOptions:
    """What formats are told of a document."""

    source: str
    target: str
    encoding: str | None = None
    """Of a file that does not say it itself; UTF-8 if that does not either."""
    columns: tuple[str, ...] = ()
    """Of a table, those to translate, by their names or numbers from 1; all if there is none."""
    mark_fuzzy: bool = False
    """Whether entries of a catalogue are marked for a person to look through."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A parsed document."""

    segments: Sequence[Segment]
    render: Callable[[Sequence[Translated]], bytes]
    """Return the document with these translations, one for each segment, in its segments' place."""
    source: str | None = None
    """The language that the document says it is in, where that decides what its segments are."""


@dataclass(frozen=True, slots=True)
class _Slot:
    restore: Callable[[str], str]


class Template:
    """A text of which parts are translated and all else is kept, to the character.

    keep, ask, keep, ... -> draft
    """

    def __init__(self) -> None:
        self._parts: list[str | _Slot] = []
        self._segments: list[Segment] = []

    def keep(self, text: str) -> None:
        """Continue with a text that stays as it is."""
        self._parts.append(text)

    def ask(
        self,
        text: str,
        *,
        markup: MarkupKind | None = None,
        split: SplitMode = "sentences",
        restore: Callable[[str], str] = str,
    ) -> None:
        """Continue with a text that is translated, but for the white space around it.

        Args:
            restore: Makes of the translation what is written in its place.
        """
        if not has_letters(text):
            self.keep(text)
            return
        head, core, tail = edges(text)
        self._parts += [head, _Slot(restore), tail]
        self._segments.append(Segment(core, markup, split))

    def draft(self, encode: Callable[[str], bytes]) -> Draft:
        """Return the document, whose text becomes bytes by `encode`."""
        return Draft(self._segments, lambda translations: encode(self._fill(translations)))

    def _fill(self, translations: Sequence[Translated]) -> str:
        remaining = iter(translations)
        return "".join(
            part.restore(next(remaining).text) if isinstance(part, _Slot) else part
            for part in self._parts
        )


def markup_of(text: str) -> MarkupKind | None:
    """Return how to read the tags in a text of a format that has none of its own."""
    return "html" if _TAG.search(text) else None


def edges(text: str) -> tuple[str, str, str]:
    """Return the white space before a text, the text, and the white space after it."""
    core = text.strip()
    begin = text.index(core)
    return text[:begin], core, text[begin + len(core) :]


def is_alike(language: str, other: str) -> bool:
    """Whether two tags name the same language, wherever it is spoken."""
    return _primary(language) == _primary(other)


def _primary(language: str) -> str:
    return language.replace("_", "-").partition("-")[0].lower()


def has_letters(text: str) -> bool:
    """Whether there is anything to translate."""
    return any(map(str.isalpha, text))
