"""HTML as events that say where they were written.

A lexer after the standard's tokenization (https://html.spec.whatwg.org/multipage/parsing.html):
the parsers of others give a tree, from which the bytes between the words cannot be had again, and
Python's own takes minutes over 90 kB of tags that do not end. It reads whatever it is given, in one
pass: a tag or a comment that does not end reaches to the end of the text and stays as it is.
"""

import html
import re
from collections.abc import Collection, Iterator

from service.engine.tags import Event, Role

_VALUE = r"""(?:"[^"]*+"?+|'[^']*+'?+|[^\s>"'][^\s>]*+)"""
_ATTRIBUTES = rf"(?:[\s/]++|[^\s/>][^\s/>=]*+(?:\s*+=\s*+{_VALUE}?+)?+)*+"
_TOKEN = re.compile(
    rf"""
    (?P<tag> <(?P<slash>/?)(?P<name>[A-Za-z][^\s/>]*+)(?P<attributes>{_ATTRIBUTES})(?P<end>>?) )
  | (?P<comment> <!--(?:-?>|.*?(?:--!?>|\Z)) | <!\[CDATA\[.*?(?:\]\]>|\Z) | <[!?][^>]*+>?+
      | </[^>]*+>?+ )
  | (?P<entity> &(?:\#\d{{1,7}}|\#[xX][0-9A-Fa-f]{{1,6}}|[A-Za-z][A-Za-z0-9]{{1,31}});? )
  | (?P<sign> < )
  | (?P<text> [^<&]++ | & )
    """,
    re.VERBOSE | re.DOTALL,
)
_ATTRIBUTE = re.compile(
    r"""([^\s/>=][^\s/>=]*+)(?:\s*+=\s*+(?:"([^"]*+)|'([^']*+)|([^\s>"'][^\s>]*+)))?+"""
)


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_VOID = _names("area base br col embed hr img input link meta param source track wbr")
_BLOCKS = _names(
    "address article aside blockquote body br button caption center col colgroup dd details dialog "
    "dir div dl dt fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 head "
    "header hgroup hr html legend li link main menu meta nav noscript ol optgroup option p search "
    "section select summary table tbody td tfoot th thead title tr ul"
)
_KEPT_BLOCKS = _names("iframe math noembed noframes object pre script style template textarea xmp")
_KEPT_INLINE = _names("audio canvas code kbd samp svg tt var video")
# Whose content is no markup, but for their end tag.
_RAW = _names("iframe noembed noframes script style textarea title xmp")
# What may be left open: elements that end where one of these begins.
_ENDED_BY: dict[str, frozenset[str]] = {
    "p": (_BLOCKS | {"pre"})
    - _names("body br button col head html link meta optgroup option select td th title tr"),
    "li": frozenset({"li"}),
    "dt": frozenset({"dt", "dd"}),
    "dd": frozenset({"dt", "dd"}),
    "tr": frozenset({"tr", "tbody", "tfoot"}),
    "td": frozenset({"td", "th", "tr", "tbody", "tfoot"}),
    "th": frozenset({"td", "th", "tr", "tbody", "tfoot"}),
    "option": frozenset({"option", "optgroup"}),
}


class HtmlReader:
    """Reads HTML for one choice of tags."""

    def __init__(
        self, kept: Collection[str], splitting: Collection[str], joining: Collection[str]
    ) -> None:
        """See the class; names are compared in small letters.

        Args:
            kept: Elements whose content stays as it is.
            splitting: Elements that are blocks, whatever HTML says.
            joining: Elements that are inline, whatever HTML says.
        """
        self._kept = {name.lower() for name in kept}
        self._splitting = {name.lower() for name in splitting}
        self._joining = {name.lower() for name in joining}

    def read(self, text: str) -> Iterator[Event]:
        """Yield the events of a text, in its order; together they cover it."""
        place = 0
        while match := _TOKEN.match(text, place):
            begin, place = match.span()
            if match.lastgroup != "tag":
                yield _untagged(match)
                continue
            event = self._tag(match)
            yield event
            if event.kind == "start" and event.name in _RAW:
                begin, place = place, _end_of_raw(text, event.name, place)
                yield from _characters(text, begin, place)

    @staticmethod
    def closes(name: str, next_name: str) -> bool:
        """Return whether an open element ends, without a tag of its own, where another begins."""
        return next_name in _ENDED_BY.get(name, ())

    def _tag(self, match: "re.Match[str]") -> Event:
        name, (begin, end) = match["name"].lower(), match.span()
        if not match["end"]:
            return Event("other", begin, end)
        role = self._role(name)
        if match["slash"]:
            return Event("end", begin, end, name, role=role)
        if name in _VOID:
            return Event("alone", begin, end, name, role=role)
        translates = _says_of_translation(match["attributes"])
        return Event("start", begin, end, name, role=role, translates=translates)

    def _role(self, name: str) -> Role:
        is_block = name in _BLOCKS or name in _KEPT_BLOCKS or name in self._splitting
        is_block = is_block and name not in self._joining
        if name in self._kept or name in _KEPT_BLOCKS or name in _KEPT_INLINE:
            return "kept block" if is_block else "kept inline"
        return "block" if is_block else "inline"


def _untagged(match: "re.Match[str]") -> Event:
    begin, end = match.span()
    written = match.group()
    if match.lastgroup == "text":
        return Event("text", begin, end, meaning=written)
    if match.lastgroup == "entity" and (meaning := html.unescape(written)):
        return Event("text", begin, end, meaning=meaning)
    return Event("other", begin, end)


def _characters(text: str, begin: int, end: int) -> Iterator[Event]:
    while begin < end:
        match = _TOKEN.match(text, begin, end)
        if match and match.lastgroup in ("text", "entity"):
            yield _untagged(match)
            begin = match.end()
        else:
            yield Event("other", begin, begin + 1)
            begin += 1


def _end_of_raw(text: str, name: str, begin: int) -> int:
    match = re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE).search(text, begin)
    return match.start() if match else len(text)


def _says_of_translation(attributes: str) -> bool | None:
    """Return whether a tag says that its element is to be translated; None if it says nothing."""
    if "translate" not in attributes.lower():
        return None
    values = {
        match[1].lower(): (match[2] or match[3] or match[4] or "").lower()
        for match in _ATTRIBUTE.finditer(attributes)
    }
    if "notranslate" in values.get("class", "").split() or values.get("translate") == "no":
        return False
    return True if values.get("translate") in ("yes", "") else None
