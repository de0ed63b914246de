"""Texts with tags: what of them is markup, and how it is to be treated."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from service.engine.html_reader import HtmlReader
from service.engine.placeholders import ATOM
from service.engine.rewriting import unchanged
from service.engine.tags import FlowBuilder, ReadFlow
from service.engine.xml_reader import XmlReader
from service.errors import InvalidRequest

# Which XML 1.0 has no room for, not even escaped.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})

MarkupKind = Literal["html", "xml"]


@dataclass(frozen=True, slots=True)
class Markup:
    """How the tags of a text are to be treated."""

    kind: MarkupKind
    ignore_tags: tuple[str, ...] = ()
    """Elements whose content stays as it is."""
    splitting_tags: tuple[str, ...] = ()
    """Elements at whose borders a sentence ends."""
    non_splitting_tags: tuple[str, ...] = ()
    """Elements that stand within a sentence."""
    outline_detection: bool = True
    """Whether the structure of an XML text tells which other elements end a sentence: those with
    no text beside them."""


class MarkupText(NamedTuple):
    """A text with tags, taken apart."""

    flows: list[ReadFlow]
    escape: Callable[[str], str]
    """How characters are written that are to be read as they are."""


def read_plain(text: str) -> MarkupText:
    """Return a text without tags: one stretch, in which every character means itself."""
    return MarkupText([ReadFlow(unchanged(text), [])], str)


def read_markup(text: str, markup: Markup) -> MarkupText:
    """Find the stretches of a text that are to be translated, and the tags in them.

    Raises:
        InvalidRequest: it is XML and not well-formed; the message says where.
    """
    names = markup.ignore_tags, markup.splitting_tags, markup.non_splitting_tags
    if markup.kind == "html":
        html = HtmlReader(*names)
        return MarkupText(FlowBuilder(text, html.closes).build(html.read(text)), _escape)
    xml = XmlReader(*names, finds_outline=markup.outline_detection)
    return MarkupText(FlowBuilder(text, xml.closes).build(xml.read(text)), _escape)


def visible(text: str, markup: Markup | None) -> str:
    """Return what is to be translated of a text, without its tags: that which has a language.

    A text that is not the XML it should be is returned as it is: translating it says why.
    """
    if markup is None:
        return text
    try:
        found = read_markup(text, markup)
    except InvalidRequest:
        return text
    return "\n".join(flow.meant.text for flow in found.flows).replace(ATOM, "")


def _escape(text: str) -> str:
    return _NO_XML.sub("", text).translate(_ESCAPES)
