"""What a text is before it is split into pieces, and where its characters stood before.

Training and service read every text through `normalise`. `trace` does the same, slower, and tells
for each character of the result which characters of the given text it was made from.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Literal

Normalisation = Literal["NFC", "NFKC"]
Span = tuple[int, int]
"""[begin, end) in characters."""

# U+2581 is SentencePiece's own sign for a space: in a text it would come back as one.
_SPACE_SIGN = "\u2581"
_SOFT_HYPHEN = "\u00ad"
_TRANSLATION = {ord(_SPACE_SIGN): "_", ord(_SOFT_HYPHEN): None}
_BLANKS = re.compile(r"[\s\u200b\ufeff]+")
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")


def normalise(text: str, form: Normalisation) -> str:
    """Return the text as the network reads it: one line, one kind of space, composed.

    Every run of white space (U+00A0, U+202F and zero-width spaces too) becomes one space and
    none is left at the ends; soft hyphens and control characters go. NFC keeps the
    characters a reader sees; NFKC also folds compatibility forms (full width, ligatures).
    """
    text = _BLANKS.sub(" ", _clean(text))
    # After NFKC: U+00A8, for one, decomposes into a space and a combining mark.
    return _BLANKS.sub(" ", unicodedata.normalize(form, text)).strip()


def trace(text: str, form: Normalisation) -> tuple[str, list[Span]]:
    """Return the normalised text and, for each character of it, its span in the given text."""
    cleaned = [_clean(character) for character in text]
    spans = [(i, i + 1) for i, character in enumerate(cleaned) if character]
    traced = _join_blanks("".join(cleaned), spans)
    traced = _join_blanks(*_compose(*traced, form))
    normalised = traced[0].strip()
    begin = traced[0].find(normalised)
    return normalised, traced[1][begin : begin + len(normalised)]


def _clean(text: str) -> str:
    return _CONTROLS.sub("", _SURROGATES.sub("\ufffd", text).translate(_TRANSLATION))


def _join_blanks(text: str, spans: list[Span]) -> tuple[str, list[Span]]:
    joined: list[Span] = []
    end = 0
    for blank in _BLANKS.finditer(text):
        joined += spans[end : blank.start()]
        end = blank.end()
        joined.append((spans[blank.start()][0], spans[end - 1][1]))
    return _BLANKS.sub(" ", text), joined + spans[end:]


def _compose(text: str, spans: list[Span], form: Normalisation) -> tuple[str, list[Span]]:
    composed: list[Span] = []
    parts: list[str] = []
    for begin, end in _clusters(text, form):
        parts.append(unicodedata.normalize(form, text[begin:end]))
        composed += [(spans[begin][0], spans[end - 1][1])] * len(parts[-1])
    return "".join(parts), composed


def _clusters(text: str, form: Normalisation) -> Iterator[Span]:
    """Yield the stretches that normalisation treats by themselves."""
    begin = 0
    for i in range(1, len(text)):
        if _stands_apart(text[begin:i], text[i], form):
            yield begin, i
            begin = i
    if text:
        yield begin, len(text)


def _stands_apart(before: str, character: str, form: Normalisation) -> bool:
    if character.isascii() or before == " ":
        return True
    if unicodedata.combining(unicodedata.normalize("NFKD", character)[0]):
        return False
    apart = unicodedata.normalize(form, before) + unicodedata.normalize(form, character)
    return unicodedata.normalize(form, before + character) == apart
