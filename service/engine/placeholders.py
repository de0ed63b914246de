"""What must come through a translation as it was typed: placeholders, addresses, signs.

A word-like one takes part in the sentence, so the model reads a name or a number in its place
(`{name}`, `%d`, a URL). The others stand beside words and are taken out (an emoji, a tag). What
the vocabulary cannot write is of either kind: a word in another script, or a sign.

It knows neither sentences nor models: whether a character can be written, the caller says.
"""

import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import regex

Kind = Literal["name", "number", "place", "joint", "point", "open", "close"]
"""What the model reads instead: a name, a number or the name of a place; a space for a sign that
joins two words; nothing for the others, which are a sign or a tag of its own, and the two tags of
an element."""

ATOM = "\ufffc"
"""Stands in a text for a placeholder that the model reads as something else, be it a space (U+FFFC,
object replacement character)."""

IsKnown = Callable[[str], bool]
"""Whether the vocabulary can write a character, its combining marks included."""

# Types of arguments: https://unicode-org.github.io/icu/userguide/format_parse/messages
_ICU_TYPE = "plural|select|selectordinal|choice|number|date|time|spellout|ordinal|duration"
_ENTITY = r"(?:\#\d{1,7}|\#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31})"
# Those that stand inside of words: the word is kept with them.
_LETTER_ENTITY = (
    r"&(?:[A-Za-z](?:acute|grave|circ|tilde|uml|ring|cedil|slash|caron)|szlig|(?:ae|AE|oe|OE)lig"
    r"|eth|ETH|thorn|THORN);"
)
_TOP_LEVEL = "com|org|net|edu|gov|info|io|dev|app|de|fr|es|eu|uk|ch|at"
_URL_CHARACTER = r"""[^\s<>"'`\u201c\u201d\u00ab\u00bb\ufffc]"""
_URL_END = r"""[^\s<>"'`\u201c\u201d\u00ab\u00bb\ufffc.,;:!?)\]}\u2026]"""
# Of those that begin at one place, the first that fits is taken.
_PATTERN = regex.compile(
    rf"""
    (?P<tag> <!--.{{0,1000}}?--> | </?[A-Za-z](?:[^<>"']|"[^"<>]*"|'[^'<>]*')*> )
  | (?P<escaped_tag> &lt;/?[A-Za-z][^<>\n]*?&gt; )
  | (?P<icu> \{{\s*[\w.-]+\s*,\s*(?:{_ICU_TYPE})\b )
  | (?P<template> \{{\{{\{{?[^{{}}]{{0,200}}\}}\}}\}}? | \{{%[^{{}}%]{{0,200}}%\}}
      | [\$\#%]\{{[^{{}}\s]{{1,100}}\}} | \{{[^{{}}\s]{{0,100}}\}} | \[X\d+X\]
      | (?<![\d%\w]) %[A-Za-z_]\w{{1,40}}% )
  | (?P<address> (?<![\w.+-]) [\w.+-]{{1,64}}@[\w-]{{1,63}}(?:\.[\w-]{{1,63}})+ )
  | (?P<url> (?: \b[A-Za-z][A-Za-z0-9+.-]{{1,15}}:// | \bwww\. | \b(?:mailto|tel|urn): )
      {_URL_CHARACTER}*{_URL_END}
      | (?<![\w.-])(?:[a-z0-9-]{{1,63}}\.){{1,5}}(?:{_TOP_LEVEL})
        (?:/{_URL_CHARACTER}*{_URL_END})?/?(?![\w-]) )
  | (?P<printf> (?<![\d%]) % (?: \([\w .-]{{1,40}}\) | \d{{1,2}}\$ )? [-+\#0']{{0,5}}
      (?:\d{{1,4}}|\*)? (?:\.(?:\d{{1,4}}|\*))?
      (?:hh?|ll?|[jztLq])? [diouxXeEfFgGaAcspn@] )
  | (?P<mention> (?<![\w&]) [@\#]\d*+[^\W\d]\w* )
  | (?P<entity_word> (?<!\w) \w{{0,40}} (?:(?:{_LETTER_ENTITY}|&amp;)\w+)+
      | (?<!\w) \w{{1,40}}{_LETTER_ENTITY} )
  | (?P<entity> &{_ENTITY}; )
  | (?P<emoji> \p{{RI}}{{2}} | [0-9\#*]\uFE0F?\u20E3
      | \p{{ExtPict}}(?:\uFE0F|\p{{EMod}}|[\U000E0020-\U000E007F])*
        (?:\u200D\p{{ExtPict}}(?:\uFE0F|\p{{EMod}})*)* )
  | (?P<number> (?<![\w.,]) \d+(?:[.,:'\u00a0\u202f/]\d+)* (?!\w) )
  | (?P<object> \ufffc )
    """,
    regex.VERBOSE | regex.DOTALL,
)
# Most texts have nothing that a placeholder could begin with.
_HINT = regex.compile(r"[<&{%@#$\[\d\xa9\xae\ufffc]|[^\0-\u024f]|[:.][^\s.]")
_VOID_TAG = regex.compile(
    r"<!--|(?:<|&lt;)(?:area|base|br|col|embed|hr|img|input|link|meta|source|track|wbr)\b"
    r"|.*/(?:>|&gt;)$",
    regex.DOTALL | regex.IGNORECASE,
)
_TAG_NAME = regex.compile(r"(?:<|&lt;)/?([A-Za-z][^\s/<>&]*)")
_COUNT_NAME = regex.compile(
    r"(?:^|[^A-Za-z])(?:n|num|number|count|total|amount|quantity)(?![A-Za-z])"
    r"|(?<=[a-z])(?:Num|Count|Number|Total)(?![a-z])"
)
# What the model reads for a match, and whether an ending may follow.
_KINDS: Mapping[str, tuple[Kind, bool]] = {
    "icu": ("name", True),
    "object": ("name", True),
    "entity_word": ("name", True),
    "mention": ("name", False),
    "address": ("name", False),
    "url": ("place", False),
    "entity": ("point", False),
    "emoji": ("point", False),
}
_NUMERIC_CONVERSIONS = tuple("diouxXeEfFgGaA")
_BRACE = regex.compile(r"[{}]")
# Lest braces that nobody closes be looked for to the end of a long text, again and again.
_MOST_ICU_CHARACTERS = 1000
_GRAPHEME = regex.compile(r"\X")
# Scripts that put no space between words have each character for a word.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_SPACED = rf"[[\p{{L}}\p{{M}}\p{{N}}]--[{_UNSPACED}]]+"
_WORD = regex.compile(rf"[{_UNSPACED}]|{_SPACED}(?:[-'\u2019]{_SPACED})*", regex.VERSION1)
# Normalisation leaves them out; they say how the source's own words may be broken.
_INVISIBLE = frozenset("\u00ad\u200b\ufeff")
_YEARS = range(1000, 2100)


@dataclass(frozen=True, slots=True)
class Placeholder:
    """Something to be kept, where it stands in a text."""

    begin: int
    end: int
    kind: Kind
    may_be_inflected: bool = False
    """Whether an ending may follow: it tells itself where it ends."""
    tag: str = ""
    """Name of the element, of a tag."""


def find(text: str, is_known: IsKnown) -> list[Placeholder]:
    """Return what is to be kept of a text, in its order; none overlaps another."""
    found = list(_patterned(text)) if _HINT.search(text) else []
    if text.isascii() and text.isprintable():
        return found
    unknown = [
        each
        for begin, end in _gaps(found, len(text))
        for each in _unknown(text, begin, end, is_known)
    ]
    return _merge(sorted([*found, *unknown], key=lambda each: each.begin))


def is_left_to_the_model(number: str) -> bool:
    """Return whether models are good at a number: a small one, or a year."""
    return number.isdecimal() and (len(number) <= 2 or (len(number) == 4 and int(number) in _YEARS))


def _patterned(text: str) -> Iterator[Placeholder]:
    place = 0
    while match := _PATTERN.search(text, place):
        begin, place = match.span()
        if match.lastgroup == "icu":
            place = _closing_brace(text, begin) or begin + 1
            if place == begin + 1:
                continue
        yield from _classify(str(match.lastgroup), text[begin:place], begin, place)


def _closing_brace(text: str, begin: int) -> int | None:
    depth = 0
    for match in _BRACE.finditer(text, begin, begin + _MOST_ICU_CHARACTERS):
        depth += 1 if match.group() == "{" else -1
        if depth == 0:
            return int(match.end())
    return None


def _classify(group: str, text: str, begin: int, end: int) -> Iterator[Placeholder]:
    if group in ("tag", "escaped_tag"):
        yield _tag(text, begin, end)
    elif group == "number":
        if not is_left_to_the_model(text):
            yield Placeholder(begin, end, "number")
    elif group in ("template", "printf"):
        kind: Kind = "number" if _is_of_number(group, text) else "name"
        yield Placeholder(begin, end, kind, may_be_inflected=kind == "name" and group != "printf")
    else:
        yield Placeholder(begin, end, *_KINDS[group])


def _is_of_number(group: str, text: str) -> bool:
    if group == "printf":
        return text.endswith(_NUMERIC_CONVERSIONS) and not text.endswith("%")
    return _COUNT_NAME.search(text) is not None


def _tag(text: str, begin: int, end: int) -> Placeholder:
    if _VOID_TAG.match(text):
        return Placeholder(begin, end, "point")
    name = _TAG_NAME.match(text)
    is_closing = text.startswith(("</", "&lt;/"))
    return Placeholder(begin, end, "close" if is_closing else "open", tag=name[1] if name else "")


def _gaps(found: Sequence[Placeholder], size: int) -> Iterator[tuple[int, int]]:
    ends = [0, *(each.end for each in found)]
    begins = [*(each.begin for each in found), size]
    return ((begin, end) for begin, end in zip(ends, begins, strict=True) if begin < end)


def _unknown(text: str, begin: int, end: int, is_known: IsKnown) -> list[Placeholder]:
    """Return the words and signs of a stretch that the vocabulary cannot write."""
    found: list[Placeholder] = []
    words = [match.span() for match in _WORD.finditer(text, begin, end)]
    edges = [begin, *(place for span in words for place in span), end]
    for index, (left, right) in enumerate(pairwise(edges)):
        graphemes = [match.span() for match in _GRAPHEME.finditer(text, left, right)]
        strange = [span for span in graphemes if _is_strange(text[slice(*span)], is_known)]
        if strange and index % 2:
            found.append(Placeholder(left, right, "name", may_be_inflected=True))
        elif strange:
            found += [Placeholder(*span, "point") for span in strange]
    return _merge(found, text)


def _is_strange(grapheme: str, is_known: IsKnown) -> bool:
    if grapheme.isascii():
        return unicodedata.category(grapheme[0]) == "Cc" and not grapheme.isspace()
    return not (grapheme.isspace() or grapheme in _INVISIBLE or is_known(grapheme))


def _merge(found: Sequence[Placeholder], text: str = "") -> list[Placeholder]:
    """Make one of signs that follow each other; and of words, if their text is given."""
    merged: list[Placeholder] = []
    for each in found:
        last = merged[-1] if merged else None
        if last and _belong_together(last, each, text):
            merged[-1] = Placeholder(last.begin, each.end, each.kind, last.may_be_inflected)
        else:
            merged.append(each)
    return merged


def _belong_together(one: Placeholder, two: Placeholder, text: str) -> bool:
    if one.kind != two.kind or one.kind not in ("point", "name"):
        return False
    is_next = one.end == two.begin
    if one.kind == "point":
        return is_next
    return text != "" and not text[one.end : two.begin].strip(" ")
