"""The paragraphs of a Word document as lines of text with tags, and back.

    <w:p> <w:r>Hello </w:r> <w:r><w:rPr><w:b/></w:rPr>dear</w:r> <w:drawing/> </w:p>
    Hello <g id="0">dear</g><x id="1"/>

What most of a line looks like has no tag; text that looks different, and links, are `g`; what is
no text is `x`. A line ends where its paragraph does, or at a line break or a tab. Specification:
ECMA-376, part 1, section 17.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, unescape

from lxml import etree

from service.formats.draft import Segment, edges, has_letters
from service.formats.inline import id_of, read, writable

WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_SPACE = "{http://www.w3.org/XML/1998/namespace}space"


def _names(names: str) -> frozenset[str]:
    return frozenset(f"{WORD}{name}" for name in names.split())


_SHELLS = _names("hyperlink ins moveTo sdt smartTag")
"""Elements around runs whose text is read; they are kept around its translation."""
_CONTENT = f"{WORD}sdtContent"
_BREAKS = _names("br cr ptab tab")
_CHARACTERS = {f"{WORD}noBreakHyphen": "\u2011", f"{WORD}softHyphen": "\u00ad"}
_DROPPED = _names("lastRenderedPageBreak proofErr")
"""What Word itself writes anew."""
_LEADING = _names("bookmarkStart commentRangeStart permStart pPr")
_TRAILING = _names("bookmarkEnd commentRangeEnd permEnd")
_UNSEEN = _names("lang noProof")
"""Properties of text that nobody sees."""
_MAX_FIELD = 200
"""Elements of a field; one that has more is taken for one without an end."""


@dataclass(frozen=True, slots=True)
class _Text:
    """Characters that look alike."""

    text: str
    properties: etree._Element | None

    @property
    def look(self) -> bytes:
        return _look(self.properties)


@dataclass(frozen=True, slots=True)
class _Shell:
    """An element around atoms."""

    element: etree._Element
    atoms: "list[_Atom]"


@dataclass(frozen=True, slots=True)
class _Object:
    """Elements that are no text and stay together."""

    elements: list[etree._Element]
    run: etree._Element | None = None
    """The run in which they stand, if other things stand there too."""

    @property
    def is_break(self) -> bool:
        return self.run is not None and self.elements[0].tag in _BREAKS


_Atom = _Text | _Shell | _Object


class Paragraph:
    """A paragraph that can be given other text."""

    def __init__(self, element: etree._Element) -> None:
        self._element = element
        inner = [child for child in element if child.tag not in _LEADING | _TRAILING]
        self._lines: list[_Line | _Object] = []
        line: list[_Atom] = []
        for atom in _merged(_atoms(inner)):
            if isinstance(atom, _Object) and atom.is_break:
                self._lines += [_Line(line), atom]
                line = []
            else:
                line.append(atom)
        self._lines.append(_Line(line))

    @property
    def segments(self) -> list[Segment]:
        """What is to be translated."""
        return [line.segment for line in self._asked]

    def fill(self, translations: Sequence[str]) -> None:
        """Put translations, one for each segment, in place of the text."""
        if not self._asked:
            return
        remaining = iter(translations)
        made: list[etree._Element] = []
        for line in self._lines:
            if isinstance(line, _Object):
                made += _placed(line)
            elif line.has_letters:
                made += line.build(next(remaining))
            else:
                made += line.rebuild()
        leading = [child for child in self._element if child.tag in _LEADING]
        trailing = [child for child in self._element if child.tag in _TRAILING]
        self._element[:] = [*leading, *made, *trailing]

    @property
    def _asked(self) -> "list[_Line]":
        return [line for line in self._lines if isinstance(line, _Line) and line.has_letters]


def paragraphs(root: etree._Element) -> list[Paragraph]:
    """Return the paragraphs of a part, those in tables and text boxes included."""
    return [Paragraph(element) for element in root.iter(f"{WORD}p")]


@dataclass(slots=True)
class _Line:
    """Atoms between two breaks."""

    atoms: list[_Atom]
    _originals: list[_Atom] = field(default_factory=list)
    _written: str = ""

    def __post_init__(self) -> None:
        self._written = self._flatten(self.atoms)

    @property
    def has_letters(self) -> bool:
        return has_letters("".join(_texts(self.atoms)))

    @property
    def segment(self) -> Segment:
        core = edges(self._written)[1]
        return Segment(core, "xml") if self._originals else Segment(unescape(core))

    def build(self, translation: str) -> list[etree._Element]:
        """Return the elements of the translated line; objects that got lost come last."""
        head, _, tail = edges(self._written)
        written = translation if self._originals else escape(translation)
        missing = dict(enumerate(self._originals))
        made = list(self._built(read(f"{head}{written}{tail}"), _base(self.atoms), missing))
        for atom in missing.values():
            if isinstance(atom, _Object):
                made += _placed(atom)
        return made

    def rebuild(self) -> list[etree._Element]:
        """Return the elements of the line as it is."""
        return self.build(edges(self._written)[1] if self._originals else self.segment.text)

    def _flatten(self, atoms: Sequence[_Atom]) -> str:
        base = _base(atoms)
        parts = []
        for atom in atoms:
            if isinstance(atom, _Text) and atom.look == _look(base):
                parts.append(escape(atom.text))
                continue
            id = len(self._originals)
            self._originals.append(atom)
            if isinstance(atom, _Object):
                parts.append(f'<x id="{id}"/>')
            else:
                inner = escape(atom.text) if isinstance(atom, _Text) else self._flatten(atom.atoms)
                parts.append(f'<g id="{id}">{inner}</g>')
        return "".join(parts)

    def _built(
        self, tree: etree._Element, base: etree._Element | None, missing: dict[int, _Atom]
    ) -> Iterator[etree._Element]:
        yield from _run(tree.text, base)
        for child in tree:
            atom = missing.pop(id_of(child), None)
            if isinstance(atom, _Object):
                yield from _placed(atom)
            elif isinstance(atom, _Shell):
                yield _shell(atom.element, self._built(child, _base(atom.atoms), missing))
            else:  # a tag that is made up, or said twice, changes nothing of the look
                properties = atom.properties if atom else base
                yield from self._built(child, properties, missing)
            yield from _run(child.tail, base)


def _atoms(elements: Sequence[etree._Element]) -> Iterator[_Atom]:
    end = 0
    for i, element in enumerate(elements):
        if i < end or element.tag in _DROPPED:
            continue
        if element.tag in _SHELLS:
            inner = element.find(_CONTENT)
            children = list(element if inner is None else inner)
            yield _Shell(element, list(_merged(_atoms(children))))
        elif element.tag == f"{WORD}r" and not _field_change(element):
            yield from _run_atoms(element)
        else:
            end = _end_of_field(elements, i)
            yield _Object(list(elements[i:end]))


def _run_atoms(run: etree._Element) -> Iterator[_Atom]:
    properties = run.find(f"{WORD}rPr")
    for child in run:
        if child.tag == f"{WORD}t":
            yield _Text(child.text or "", properties)
        elif child.tag in _CHARACTERS:
            yield _Text(_CHARACTERS[child.tag], properties)
        elif child is not properties and child.tag not in _DROPPED:
            yield _Object([child], run)


def _field_change(element: etree._Element) -> int:
    """Return by how much fields nest deeper behind an element."""
    kinds = [each.get(f"{WORD}fldCharType") for each in element.iter(f"{WORD}fldChar")]
    return kinds.count("begin") - kinds.count("end")


def _end_of_field(elements: Sequence[etree._Element], begin: int) -> int:
    """Return where the field ends that begins at an element; behind that if it has no end."""
    depth = 0
    for i in range(begin, min(begin + _MAX_FIELD, len(elements))):
        depth += _field_change(elements[i])
        if depth <= 0:
            return i + 1
    return begin + 1


def _merged(atoms: Iterable[_Atom]) -> Iterator[_Atom]:
    """Yield the atoms, neighbours that look alike as one."""
    last: _Text | None = None
    for atom in atoms:
        if isinstance(atom, _Text) and last is not None and atom.look == last.look:
            last = _Text(last.text + atom.text, last.properties)
            continue
        if last is not None:
            yield last
            last = None
        if isinstance(atom, _Text):
            last = atom
        else:
            yield atom
    if last is not None:
        yield last


def _base(atoms: Sequence[_Atom]) -> etree._Element | None:
    """Return the properties that most of the text has."""
    sizes: Counter[bytes] = Counter()
    properties: dict[bytes, etree._Element | None] = {}
    for atom in atoms:
        if isinstance(atom, _Text):
            sizes[atom.look] += len(atom.text)
            properties.setdefault(atom.look, atom.properties)
    return properties[sizes.most_common(1)[0][0]] if sizes else None


def _look(properties: etree._Element | None) -> bytes:
    if properties is None:
        return b""
    seen = [each for each in properties if each.tag not in _UNSEEN]
    return b"".join(etree.tostring(each, method="c14n", with_tail=False) for each in seen)


def _texts(atoms: Iterable[_Atom]) -> Iterator[str]:
    for atom in atoms:
        if isinstance(atom, _Text):
            yield atom.text
        elif isinstance(atom, _Shell):
            yield from _texts(atom.atoms)


def _run(text: str | None, properties: etree._Element | None) -> Iterator[etree._Element]:
    if text:
        run = _new_run(properties)
        element = etree.SubElement(run, f"{WORD}t", {_SPACE: "preserve"})
        element.text = writable(text)
        yield run


def _new_run(properties: etree._Element | None) -> etree._Element:
    run = etree.Element(f"{WORD}r")
    if properties is not None:
        run.append(deepcopy(properties))
    return run


def _placed(atom: _Object) -> list[etree._Element]:
    if atom.run is None:
        return atom.elements
    run = _new_run(atom.run.find(f"{WORD}rPr"))
    run.extend(atom.elements)
    return [run]


def _shell(original: etree._Element, content: Iterable[etree._Element]) -> etree._Element:
    shell = etree.Element(original.tag, original.attrib, nsmap=original.nsmap)
    inner = original.find(_CONTENT)
    if inner is None:
        shell.extend(content)
        return shell
    for child in original:
        if child is inner:
            etree.SubElement(shell, _CONTENT).extend(content)
        else:
            shell.append(deepcopy(child))
    return shell
