"""What differs between two sentences, word by word, for people who compare them.

A word is what stands between spaces, without the punctuation around it, but with apostrophes
within; where a script has no spaces, each character is one. How much space there is makes no
difference.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby

MAX_WORDS = 400
"""Of either sentence; the time that difflib takes can grow with the cube of it."""

_APOSTROPHES = ("'", "\u2019")
_ZERO_WIDTH_JOINER = "\u200d"
# First words of the names of characters: the scripts whose words nothing separates.
_WITHOUT_SPACES = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")


@dataclass(frozen=True)
class Part:
    """A piece of a sentence."""

    text: str
    is_marked: bool = False
    """Whether the other sentence has something else here."""


def mark_differences(text: str, other: str) -> list[Part]:
    """Split a text into parts and mark those that the other one lacks.

    Together the parts are the text. Sentences of more than `MAX_WORDS` words are not compared.
    """
    own, others = split_words(text), split_words(other)
    if max(len(own), len(others)) > MAX_WORDS:
        return [Part(text)]
    places = [place for place, word in enumerate(own) if not word.isspace()]
    differs = [not word.isspace() for word in own]
    matcher = SequenceMatcher(
        None, [own[place] for place in places], [w for w in others if not w.isspace()], False
    )
    for start, _, size in matcher.get_matching_blocks():
        for place in places[start : start + size]:
            differs[place] = False
    marks = [differs[i] or _is_between(differs, i, own) for i in range(len(own))]
    found = groupby(zip(own, marks, strict=True), key=lambda pair: pair[1])
    return [Part("".join(word for word, _ in words), marked) for marked, words in found]


def split_words(text: str) -> list[str]:
    """Split a text into words, white space and punctuation marks, which together are the text."""
    words: list[str] = []
    kinds: list[str] = []
    for cluster in _clusters(text):
        kind = _kind(cluster[0])
        if kind == "word" == "".join(kinds[-2:-1]) and words[-1] in _APOSTROPHES:
            words[-2:] = [words[-2] + words[-1] + cluster]
            kinds.pop()
        elif kinds and kind == kinds[-1] != "single":
            words[-1] += cluster
        else:
            words.append(cluster)
            kinds.append(kind)
    return words


def _clusters(text: str) -> list[str]:
    """Split a text into characters, each with what is written onto it or joined to it."""
    clusters: list[str] = []
    for character in text:
        is_mark = unicodedata.category(character).startswith("M") or character == _ZERO_WIDTH_JOINER
        if clusters and (is_mark or clusters[-1].endswith(_ZERO_WIDTH_JOINER)):
            clusters[-1] += character
        else:
            clusters.append(character)
    return clusters


def _kind(character: str) -> str:
    if character.isspace():
        return "space"
    if unicodedata.category(character).startswith("P"):
        return "single"
    name = unicodedata.name(character, "")
    return "single" if name.startswith(_WITHOUT_SPACES) else "word"


def _is_between(differs: Sequence[bool], i: int, words: Sequence[str]) -> bool:
    """Whether white space stands between two words that differ, and so is marked with them."""
    return words[i].isspace() and 0 < i < len(words) - 1 and differs[i - 1] and differs[i + 1]
