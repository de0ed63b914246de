"""Elements within a sentence: written as plain tags, which travel with the words around them.

    Hello <hi type="b">dear</hi> <ph>{1}</ph>  <->  Hello <g id="0">dear</g> <x id="1"/>

`g` holds text that is translated, `x` stands for something that is not.
"""

import re
from collections.abc import Iterator
from copy import deepcopy
from xml.sax.saxutils import escape, unescape

from lxml import etree

from service.formats.draft import Segment, edges, has_letters
from service.formats.xml import local_name

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML cannot hold."""


class Inline:
    """The content of an element, to be translated with its inline elements.

    Args:
        opaque: names of elements whose content is not text.
    """

    def __init__(self, element: etree._Element, opaque: set[str]) -> None:
        self._opaque = opaque
        self._originals: list[etree._Element] = []
        self._head, self._core, self._tail = edges(self._flatten(element))
        self.has_letters = has_letters("".join(self._texts(element)))

    @property
    def segment(self) -> Segment:
        """What is to be translated."""
        if self._originals:
            return Segment(self._core, "xml")
        return Segment(unescape(self._core))

    def fill(self, element: etree._Element, translation: str) -> None:
        """Give an element the translated content; inline elements that got lost come last."""
        if not self._originals:
            element.text = writable(f"{self._head}{translation}{self._tail}")
            return
        tree = read(f"{self._head}{translation}{self._tail}")
        missing = dict(enumerate(self._originals))
        self._copy(tree, element, missing)
        for original in missing.values():
            element.append(self._shell(original))

    def _flatten(self, element: etree._Element) -> str:
        parts = [escape(element.text or "")]
        for child in element:
            id = len(self._originals)
            self._originals.append(child)
            if self._is_opaque(child):
                parts.append(f'<x id="{id}"/>')
            else:
                parts.append(f'<g id="{id}">{self._flatten(child)}</g>')
            parts.append(escape(child.tail or ""))
        return "".join(parts)

    def _texts(self, element: etree._Element) -> Iterator[str]:
        yield element.text or ""
        for child in element:
            if not self._is_opaque(child):
                yield from self._texts(child)
            yield child.tail or ""

    def _is_opaque(self, child: etree._Element) -> bool:
        return local_name(child) in {"", *self._opaque}

    def _shell(self, original: etree._Element) -> etree._Element:
        copy = deepcopy(original)
        copy.tail = None
        if not self._is_opaque(original):
            copy.text = None
            del copy[:]
        return copy

    def _copy(
        self, source: etree._Element, target: etree._Element, missing: dict[int, etree._Element]
    ) -> None:
        target.text = source.text
        for child in source:
            original = missing.pop(id_of(child), None)
            if original is None:  # said twice, or made up: its text alone counts
                append_text(target, "".join(child.itertext()))
            else:
                copy = self._shell(original)
                target.append(copy)
                if not self._is_opaque(original):
                    self._copy(child, copy, missing)
            append_text(target, child.tail or "")


def read(text: str) -> etree._Element:
    """Return text with tags as an element; if the tags are broken, they are text too."""
    try:
        return etree.fromstring(f"<s>{text}</s>", etree.XMLParser(resolve_entities=False))
    except etree.XMLSyntaxError:
        element = etree.Element("s")
        element.text = writable(text)
        return element


def id_of(tag: etree._Element) -> int:
    """Return the number of a tag; -1 if it has none."""
    id = tag.get("id", "") if isinstance(tag.tag, str) else ""
    return int(id) if id.isdecimal() else -1


def append_text(element: etree._Element, text: str) -> None:
    """Add text behind all that an element holds."""
    if len(element):
        element[-1].tail = (element[-1].tail or "") + text
    else:
        element.text = (element.text or "") + text


def writable(text: str) -> str:
    """Return a text without the characters that XML cannot hold."""
    return _FORBIDDEN.sub("", text)
