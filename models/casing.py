"""Upper case as marks before words, so that `Hello`, `HELLO` and `hello` share their pieces.

    "Das GUTE (Iphone)"  <->  TITLE " das" UPPER " gute" " (" TITLE "iphone)"

A word is a run of letters. Its mark stands before the space in front of it, for that space is
a part of its first piece; the text begins with a space for the same reason. A word that its mark
would not give back to the letter, such as one in mixed case, stays as it is. Marks are control
characters, which normalisation takes out of every text: none can be written by anybody.

Source: Berard et al. 2019, "Naver Labs Europe's Systems for the WMT19 Machine Translation
Robustness Task", on inline casing.
"""

import re
from typing import Literal

Case = Literal["as-is", "inline"]

TITLE, UPPER = "\x01", "\x02"
"""Marks: the first letter of the next word is large, or all of them are."""

MARK_NAMES = {TITLE: "<title>", UPPER: "<upper>"}
"""What people see in a mark's place."""

_LETTER = r"[^\W\d_]"
_MARK = f"[{TITLE}{UPPER}]"
_WORD = re.compile(f"( ?)({_LETTER}+)")
# A mark inside a word or without a word means nothing; of several the last counts.
_MARKED = re.compile(
    f"(?<={_LETTER}){_MARK}+(?={_LETTER})|{_MARK}*({_MARK})( ?)({_LETTER}*)",
)


def mark_case(text: str) -> str:
    """Return a normalised text with a space before it, its words small and marked."""
    # Most words are small: not to look for letters in them halves the time.
    chunks = [
        f" {chunk}" if chunk.islower() else _WORD.sub(_mark, f" {chunk}")
        for chunk in text.split(" ")
    ]
    return "".join(chunks) if text else ""


def restore_case(marked: str) -> str:
    """Return the text that was marked; marks that nobody would have set have no effect."""
    return _MARKED.sub(_restore, marked).removeprefix(" ")


def _mark(match: re.Match[str]) -> str:
    space, word = match.groups()
    small = word.lower()
    if small == word:
        return match[0]
    # Checked by undoing it: U+0130, U+1E9E and others do not come back from lower case.
    for mark in (TITLE, UPPER):
        if _enlarge(mark, small) == word:
            return f"{mark}{space}{small}"
    return match[0]


def _restore(match: re.Match[str]) -> str:
    mark, space, word = match.groups(default="")
    return space + _enlarge(mark, word)


def _enlarge(mark: str, word: str) -> str:
    # Titlecase, not upper case, of the first: U+01C6 is a digraph and becomes U+01C5.
    return word.upper() if mark == UPPER else word[:1].title() + word[1:]
