"""What stands in a line of Markdown, as tags around and among its words, and back.

    Hello **dear** `code`  <->  Hello <g id="0">dear</g> <x id="1"/>

markdown-it says what there is, in its order; here it is found again how each of it is written.
"""

import re
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from lxml import etree
from markdown_it import MarkdownIt
from markdown_it.helpers import parseLinkDestination, parseLinkTitle
from markdown_it.token import Token

from service.formats.draft import has_letters
from service.formats.inline import id_of, read

_PARSER = MarkdownIt("commonmark").enable("strikethrough").disable("text_join")
_MAX_CHARACTERS = 5_000
"""Of a block whose emphasis and links are found; finding them can take the square of it."""
_BREAKS = {"softbreak": re.compile(r" *\n[ \t]*"), "hardbreak": re.compile(r"(?: {2,}|\\)\n[ \t]*")}
_SIGN = re.compile(r"[*_`\[\]!<&\\~]|  \n")
"""Without any of these, text is text."""
_SPACE = re.compile(r"[ \t\n]*")


class Sentence:
    """The text of a block.

    Args:
        content: as it is written, without what marks the block.
        references: what markdown-it knows of links that are defined elsewhere.
    """

    def __init__(self, content: str, references: Mapping[str, Any]) -> None:
        self.text = content
        self._pairs: dict[int, tuple[str, str]] = {}
        words = content
        if len(content) <= _MAX_CHARACTERS and _SIGN.search(content):
            reader = _Reader(content, references)
            if reader.is_complete and reader.pairs:
                self.text, self._pairs, words = reader.text, reader.pairs, reader.words
        self.has_letters = has_letters(words)

    @property
    def has_tags(self) -> bool:
        """Whether the text has tags, as XML."""
        return bool(self._pairs)

    def restore(self, translation: str) -> str:
        """Write a translation as Markdown; what got lost comes last, if it has no words."""
        if not self._pairs:
            return translation
        missing = dict(self._pairs)
        written = self._write(read(translation), missing)
        return written + "".join(begin for begin, end in missing.values() if not end)

    def _write(self, tree: etree._Element, missing: dict[int, tuple[str, str]]) -> str:
        parts = [tree.text or ""]
        for child in tree:
            begin, end = missing.pop(id_of(child), ("", ""))
            parts += [begin, self._write(child, missing), end, child.tail or ""]
        return "".join(parts)


class _Reader:
    """Follows the tokens of a content through it."""

    def __init__(self, content: str, references: Mapping[str, Any]) -> None:
        self._content = content
        self._place = 0
        self._open: list[tuple[int, str]] = []
        self.pairs: dict[int, tuple[str, str]] = {}
        self.words = ""
        self.text = ""
        [block] = _PARSER.parseInline(content, dict(references))
        tokens = iter(block.children or [])
        for token in tokens:
            self._read(token)
            if token.markup == "autolink" and token.type == "link_open":
                next(tokens), next(tokens)  # its address as text, and its end
        self.is_complete = self._place == len(content) and not self._open

    def _read(self, token: Token) -> None:
        if self._place < 0:
            return
        kind = token.type
        if kind == "text":
            self._take_text(token.content)
        elif kind in _BREAKS:
            match = _BREAKS[kind].match(self._content, self._place)
            if kind == "softbreak" and match:
                self._take_text(match[0])
            else:
                self._take_object(match.end() if match else -1)
        elif kind == "link_open" and token.markup == "autolink":
            self._take_object(self._content.find(">", self._place) + 1)
        elif kind.endswith("_open"):
            self._begin(token.markup or "[")
        elif kind.endswith("_close"):
            self._end(self._place + len(token.markup) if token.markup else self._end_of_link())
        else:
            self._take_object(self._end_of_object(token))

    def _take_text(self, text: str) -> None:
        if self._content.startswith(text, self._place):
            self._place += len(text)
            self.words += text
            self.text += escape(text)
        else:
            self._place = -1

    def _take_object(self, end: int) -> None:
        if end > self._place:
            id = len(self.pairs) + len(self._open)
            self.pairs[id] = (self._content[self._place : end], "")
            self.text += f'<x id="{id}"/>'
        self._place = end if end > self._place else -1

    def _begin(self, written: str) -> None:
        if self._content.startswith(written, self._place):
            self._place += len(written)
            id = len(self.pairs) + len(self._open)
            self._open.append((id, written))
            self.text += f'<g id="{id}">'
        else:
            self._place = -1

    def _end(self, end: int) -> None:
        if end > self._place and self._open:
            id, begin = self._open.pop()
            self.pairs[id] = (begin, self._content[self._place : end])
            self._place = end
            self.text += "</g>"
        else:
            self._place = -1

    def _end_of_object(self, token: Token) -> int:
        """Return where code, an image, an escaped sign or HTML ends."""
        place, content = self._place, self._content
        if token.type == "image":
            label = f"![{token.content}"
            if not content.startswith(label, place):
                return -1
            self._place += len(label)
            end = self._end_of_link()
            self._place = place
            return end
        if token.type == "code_inline":
            fence = re.escape(token.markup)
            match = re.compile(rf"{fence}(?!`).*?(?<!`){fence}(?!`)", re.DOTALL).match(
                content, place
            )
            return match.end() if match else -1
        written = token.markup if token.type == "text_special" else token.content
        return place + len(written) if content.startswith(written, place) else -1

    def _end_of_link(self) -> int:
        """Return where what follows the words of a link ends: `](to "title")`, `][name]` or `]`."""
        content, place = self._content, self._place
        if not content.startswith("]", place):
            return -1
        if content.startswith("](", place):
            end = self._end_of_address(place + 2)
            if end > 0:
                return end
        if content.startswith("][", place):
            return content.find("]", place + 2) + 1
        return place + 1

    def _end_of_address(self, place: int) -> int:
        content, most = self._content, len(self._content)
        place = _after_space(content, place)
        address = parseLinkDestination(content, place, most)
        if address.ok:
            place = _after_space(content, address.pos)
            title = parseLinkTitle(content, place, most)
            if title.ok:
                place = _after_space(content, title.pos)
        return place + 1 if content.startswith(")", place) else -1


def _after_space(content: str, place: int) -> int:
    match = _SPACE.match(content, place)
    return match.end() if match else place
