r"""Text to sentences and what stands between them, losslessly.

    "  Guten Tag!\r\n\r\n* * *\nWie geht's? "
      sentences:   "Guten Tag!"                   "Wie geht's?"
      between:  "  "            "\r\n\r\n* * *\n"             " "

A sentence spans lines only if it may, and never a blank one. What has neither letter nor digit
is not worth a model and stands between, too. It knows nothing of tokens: whether a
sentence is too long, the caller says.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import sentencex

from service.engine.placeholders import ATOM
from service.engine.translation import SplitMode

# Where `str.splitlines` breaks a line.
_LINE_ENDS = "\n\r\v\f\x1c-\x1e\x85\u2028\u2029"
_LINES = re.compile(f"[{_LINE_ENDS}]+")
_BLANK_LINES = re.compile(rf"(?:(?:\r\n|[{_LINE_ENDS}])[^\S{_LINE_ENDS}]*){{2,}}")
_LINE_END = re.compile(f"[{_LINE_ENDS}]")
_WIDE_SPACE = re.compile(r"[^\S\x00-\x7f]")
# Read in the place of what is masked: of a script without initials, which end no sentence.
_LETTER = "\u6f22"
_SURROGATES = re.compile("[\ud800-\udfff]")
_CLAUSE_ENDS = re.compile("(?<=[,;:)\uff0c\uff1b\uff1a\u3001\u2013\u2014])")
_SPACES = re.compile(r"(?<=\s)(?=\S)")


@dataclass(frozen=True, slots=True)
class Segmentation:
    """Sentences without white space at their ends, and what stands between them."""

    sentences: tuple[str, ...]
    between: tuple[str, ...]
    """One more than sentences: the first stands before, the last behind all of them."""

    def join(self, sentences: Sequence[str]) -> str:
        """Return the text with other sentences in the places of its own."""
        pairs = zip(sentences, self.between[1:], strict=True)
        return self.between[0] + "".join(part for pair in pairs for part in pair)

    def spans(self, sentences: Sequence[str]) -> list[tuple[int, int]]:
        """Return [begin, end) of each of these sentences in the text that `join` makes of them."""
        spans: list[tuple[int, int]] = []
        end = 0
        for sentence, before in zip(sentences, self.between[:-1], strict=True):
            begin = end + len(before)
            end = begin + len(sentence)
            spans.append((begin, end))
        return spans


def segment(
    text: str, language: str, fits: Callable[[str], bool], *, split: SplitMode = "sentences"
) -> Segmentation:
    """Find the sentences of a text; a sentence that does not fit is split further.

    Joining the sentences gives the text again, whatever it holds.

    Args:
        split: Where sentences may end; a blank line ends one in any case.
    """
    sentences: list[str] = []
    between = [""]
    for stretch in _stretches(text, language, split):
        for part in _split(stretch, fits):
            sentence = part.strip()
            if not _is_translatable(sentence):
                between[-1] += part
                continue
            before = len(part) - len(part.lstrip())
            between[-1] += part[:before]
            sentences.append(sentence)
            between.append(part[before + len(sentence) :])
    return Segmentation(tuple(sentences), tuple(between))


def _stretches(text: str, language: str, split: SplitMode) -> Iterator[str]:
    pattern = _BLANK_LINES if split == "nonewlines" else _LINES
    start = 0
    for line_break in pattern.finditer(text):
        yield from _sentences(text[start : line_break.start()], language, split)
        yield line_break.group()
        start = line_break.end()
    yield from _sentences(text[start:], language, split)


def _sentences(line: str, language: str, split: SplitMode) -> Iterator[str]:
    if split == "lines":
        yield line
        return
    # Only the lengths of what it returns are used: the characters are ours in any case.
    # White space beyond ASCII makes sentencex 1.0 panic behind an initial, as in "X\u00a0.".
    read = _WIDE_SPACE.sub(" ", _SURROGATES.sub("\ufffd", line).replace(ATOM, _LETTER))
    start = 0
    for sentence in sentencex.segment(language, _LINE_END.sub(" ", read)):
        yield line[start : start + len(sentence)]
        start += len(sentence)
    yield line[start:]


def _is_translatable(sentence: str) -> bool:
    return any(character.isalnum() for character in sentence)


def _split(sentence: str, fits: Callable[[str], bool]) -> Iterator[str]:
    if len(sentence) <= 1 or not _is_translatable(sentence) or fits(sentence.strip()):
        yield sentence
        return
    middle = _middle(sentence)
    yield from _split(sentence[:middle], fits)
    yield from _split(sentence[middle:], fits)


def _middle(sentence: str) -> int:
    """Return the place nearest to the middle at which to split.

    The end of a clause if there is one in the middle half; else any space; else any place,
    though not before a combining mark.
    """
    half, size = len(sentence) // 2, len(sentence)

    def nearest(pattern: re.Pattern[str], start: int, end: int) -> int | None:
        places = (match.start() for match in pattern.finditer(sentence, start, end))
        inner = (place for place in places if 0 < place < size)
        return min(inner, key=lambda place: abs(place - half), default=None)

    place = nearest(_CLAUSE_ENDS, size // 4, size - size // 4) or nearest(_SPACES, 0, size)
    if place is None:
        place = half
        while place > 1 and unicodedata.combining(sentence[place]):
            place -= 1
    return place
