"""Upper case as marks before letters, so that `Hello`, `HELLO` and `hello` share their pieces.

    "Das GUTE (iPhone)"  <->  TITLE " das" UPPER " gute" " (i" TITLE "phone)"

A word is a run of letters. The mark of its first letter stands before the space in front of it,
for that space is a part of its first piece; the text begins with a space for the same reason. A
word that its marks would not give back to the letter stays as it is. Marks are control
characters, which normalisation takes out of every text: none can be written by anybody.

Source: Berard et al. 2019, "Naver Labs Europe's Systems for the WMT19 Machine Translation
Robustness Task", on inline casing.
"""

import re
from collections.abc import Sequence
from typing import Literal

from models.normalisation import Span

Case = Literal["as-is", "inline"]

TITLE, UPPER = "\x01", "\x02"
"""Marks: the next letter is large, or all letters of the next word are."""

MARK_NAMES = {TITLE: "<title>", UPPER: "<upper>"}
"""What people see in a mark's place."""

_LETTER = r"[^\W\d_]"
_WORD = re.compile(f"( ?)({_LETTER}+)")
# UPPER inside a word means nothing, as a mark without a letter does.
_UPPER_WORD = re.compile(f"{UPPER}( {_LETTER}+|(?<!{_LETTER}{UPPER}){_LETTER}+)")


def mark_case(text: str) -> str:
    """Return a normalised text with a space before it, its letters small and marked."""
    # Most words are small: not to look for letters in them halves the time.
    chunks = [
        f" {chunk}" if chunk.islower() else _WORD.sub(_mark, f" {chunk}")
        for chunk in text.split(" ")
    ]
    return "".join(chunks) if text else ""


def trace_marks(marked: str, spans: Sequence[Span]) -> list[Span]:
    """Return the span of each character of a marked text, given those of the text without marks.

    Of marks, and of the space before the text, it is empty and stands where they do.
    """
    traced: list[Span] = []
    end = spans[-1][1] if spans else 0
    remaining = iter(spans)
    upcoming = next(remaining, (end, end))
    is_first = True
    for character in marked:
        if character in MARK_NAMES or (is_first and character == " "):
            traced.append((upcoming[0], upcoming[0]))
            is_first = is_first and character != " "
        else:
            traced.append(upcoming)
            upcoming = next(remaining, (end, end))
    return traced


def trace_restored(marked: str, restored: str) -> list[Span]:
    """Return where in `restore_case(marked)` each character of the marked text stands.

    A letter may become several: the upper case of U+00DF is SS.
    """
    traced: list[Span] = []
    end = 0
    text = marked.lstrip(TITLE + UPPER)
    skipped = len(marked) - len(text) if text.startswith(" ") else -1
    for i, character in enumerate(marked):
        begin = end
        if i != skipped and character not in MARK_NAMES:
            writings = (character, character.title(), character.upper())
            end += len(next(each for each in writings if restored.startswith(each, begin)))
        traced.append((begin, end))
    return traced


def restore_case(marked: str) -> str:
    """Return the text that was marked; marks that nobody would have set have no effect."""
    first, *others = marked.split(TITLE)
    text = "".join([first, *map(_enlarge_first, others)])
    if UPPER in text:
        text = _UPPER_WORD.sub(lambda match: match[1].upper(), text).replace(UPPER, "")
    return text.removeprefix(" ")


def _mark(match: re.Match[str]) -> str:
    space, word = match.groups()
    small = word.lower()
    if small == word:
        return match[0]
    # Checked by undoing it: U+0130, U+1E9E and others do not come back from lower case.
    if _enlarge_first(small) == word:
        return f"{TITLE}{space}{small}"
    if small.upper() == word:
        return f"{UPPER}{space}{small}"
    marked = "".join(map(_mark_letter, word))
    if restore_case(marked) != word:
        return match[0]
    return f"{TITLE}{space}{marked[1:]}" if marked[0] == TITLE else f"{space}{marked}"


def _mark_letter(letter: str) -> str:
    small = letter.lower()
    return letter if small == letter else f"{TITLE}{small}"


def _enlarge_first(text: str) -> str:
    place = text.startswith(" ")
    # Titlecase, not upper case: U+01C6 is a digraph and becomes U+01C5.
    return text[:place] + text[place : place + 1].title() + text[place + 1 :]
