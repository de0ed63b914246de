"""XML as events that say where they were written, by expat.

A text may be a document or a piece of one: of several elements, or with text around them. What an
entity of its own stands for is not looked up, so none can blow up a text or fetch another.
"""

import html
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple
from xml.parsers import expat

from service.engine.placeholders import ATOM
from service.engine.tags import Event, Role
from service.errors import InvalidRequest

_ROOT = "dragoman"
_ITS = "its:translate"
_TRANSLATES = {"no": False, "yes": True}


class _Met(NamedTuple):
    """Something that expat met; it ends where the next one begins."""

    kind: Literal["start", "end", "text", "other"]
    begin: int
    name: str = ""
    meaning: str = ""
    translates: bool | None = None


class XmlReader:
    """Reads XML for one choice of tags."""

    def __init__(
        self,
        kept: Collection[str],
        splitting: Collection[str],
        joining: Collection[str],
        *,
        finds_outline: bool,
    ) -> None:
        """See the class.

        Args:
            kept: Elements whose content stays as it is.
            splitting: Elements that end a sentence.
            joining: Elements that do not.
            finds_outline: Whether an element ends a sentence, too, that has no text beside it.
        """
        self._kept = kept
        self._splitting = splitting
        self._joining = joining
        self._finds_outline = finds_outline

    def read(self, text: str) -> Iterator[Event]:
        """Yield the events of a text, in its order.

        Raises:
            InvalidRequest: it is not well-formed; the message says where.
        """
        met = _parse(text)
        beside_text = _beside_text(met) if self._finds_outline else set()
        is_alone = False
        for index, (one, two) in enumerate(pairwise(met)):
            if one.kind == "text":
                yield Event("text", one.begin, two.begin, meaning=one.meaning)
            elif one.kind == "other" or is_alone:
                is_alone = False
                yield Event("other", one.begin, two.begin)
            else:
                role = self._role(one.name, is_outline=one.begin not in beside_text)
                is_alone = one.kind == "start" and _is_short(met, index)
                kind = "alone" if is_alone else one.kind
                yield Event(
                    kind, one.begin, two.begin, one.name, role=role, translates=one.translates
                )

    @staticmethod
    def closes(name: str, next_name: str) -> bool:
        """Return False: in XML every element has an end tag of its own."""
        return False

    def _role(self, name: str, *, is_outline: bool) -> Role:
        is_block = name in self._splitting or (self._finds_outline and is_outline)
        is_block = is_block and name not in self._joining
        if name in self._kept:
            return "kept block" if is_block else "kept inline"
        return "block" if is_block else "inline"


def _is_short(met: Sequence[_Met], index: int) -> bool:
    """Return whether the end of an element that begins is a part of its start tag."""
    return met[index + 1].kind == "end" and met[index + 1].begin == met[index + 2].begin


def _beside_text(met: Sequence[_Met]) -> set[int]:
    """Return where the elements begin whose parents have text of their own."""
    parents: list[list[int]] = [[]]
    has_text = [False]
    found: set[int] = set()
    for each in met:
        if each.kind == "start":
            parents[-1].append(each.begin)
            parents.append([])
            has_text.append(False)
        elif each.kind == "text" and each.meaning.strip():
            has_text[-1] = True
        elif each.kind == "end":
            children = parents.pop()
            found.update(children if has_text.pop() else ())
    return found.union(parents[0] if has_text[0] else ())


def _parse(text: str) -> list[_Met]:
    """Return what is in a text, and its end; together they cover it."""
    root = _ROOT
    while root in text:
        root += "_"
    is_document = text.lstrip().startswith(("<?xml", "<!DOCTYPE"))
    before = "" if is_document else f"<{root}>"
    after = "" if is_document else f"</{root}>"
    listener = _Listener(len(before))
    try:
        listener.parse(f"{before}{text}{after}".encode())
    except UnicodeEncodeError as error:
        place = error.start - len(before)
        message = f"text is no XML: character {place} is half of a pair"
        raise InvalidRequest(message, field="text") from None
    except expat.ExpatError as error:
        column = error.offset - (len(before) if error.lineno == 1 else 0)
        problem = expat.ErrorString(error.code)
        message = f"text is not well-formed XML: {problem} in line {error.lineno}, column {column}"
        raise InvalidRequest(message, field="text") from None
    met = listener.met if is_document else listener.met[1:-1]
    if not met or met[0].begin > 0:
        met.insert(0, _Met("other", 0))
    return [*_in_characters(met, text), _Met("other", len(text))]


def _in_characters(met: Sequence[_Met], text: str) -> Iterator[_Met]:
    """Yield the same with places in characters of a text instead of bytes."""
    data = text.encode()
    place = byte = 0
    for each in met:
        place += len(data[byte : each.begin].decode())
        byte = each.begin
        yield each._replace(begin=place)


class _Listener:
    """Notes what expat meets, and at which byte."""

    def __init__(self, offset: int) -> None:
        self.met: list[_Met] = []
        self._offset = offset
        self._is_in_cdata = False
        self._parser = parser = expat.ParserCreate("utf-8")
        # Or it would refuse entities of which a text does not say where they are declared.
        parser.UseForeignDTD(True)
        parser.StartElementHandler = self._start
        parser.EndElementHandler = lambda name: self._note("end", name)
        parser.CharacterDataHandler = self._characters
        parser.SkippedEntityHandler = self._entity
        parser.StartCdataSectionHandler = self._begin_cdata
        parser.EndCdataSectionHandler = self._end_cdata
        parser.CommentHandler = lambda data: self._note("other")
        parser.ProcessingInstructionHandler = lambda target, data: self._note("other")
        # With this one expat leaves entities of the text's own alone, too.
        parser.DefaultHandler = lambda data: self._note("other")

    def parse(self, data: bytes) -> None:
        self._parser.Parse(data, True)

    def _note(
        self,
        kind: Literal["start", "end", "text", "other"],
        name: str = "",
        meaning: str = "",
        translates: bool | None = None,
    ) -> None:
        begin = self._parser.CurrentByteIndex - self._offset
        self.met.append(_Met(kind, begin, name, meaning, translates))

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        translates = _TRANSLATES.get(attributes.get("translate", attributes.get(_ITS, "")))
        if "notranslate" in attributes.get("class", "").split():
            translates = False
        self._note("start", name, translates=translates)

    def _characters(self, data: str) -> None:
        if not self._is_in_cdata:
            self._note("text", meaning=data)

    def _entity(self, name: str, is_parameter: bool) -> None:
        written = f"&{name};"
        meaning = html.unescape(written)
        # What stands for something that only the text's own declarations know is kept as a word.
        self._note("text", meaning=ATOM if meaning == written else meaning)

    def _begin_cdata(self) -> None:
        self._is_in_cdata = True
        self._note("other")

    def _end_cdata(self) -> None:
        self._is_in_cdata = False
        self._note("other")
