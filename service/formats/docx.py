"""Word documents (Office Open XML): every paragraph is a segment, its formatting travels along.

Text is translated in the body, tables, text boxes, headers, footers and notes. Runs that look
alike are one; what is no text (pictures, fields, notes' references, deleted text) stays whole and
moves with the words around it. All other parts of the archive stay as they are.
"""

from collections.abc import Sequence
from itertools import islice

from lxml import etree

from service.errors import InvalidDocument
from service.formats import xml
from service.formats.archive import repack, unpack
from service.formats.draft import Draft, FormatOptions, Translated
from service.formats.word_paragraphs import WORD, paragraphs

_TYPES = "[Content_Types].xml"
_TEXT_PARTS = ("document.main", "header", "footer", "footnotes", "endnotes")
_WITH_LANGUAGE = (*_TEXT_PARTS, "styles")
_MACROS = ("vbaProject", "macroEnabled")


def looks_like(content: bytes) -> bool:
    """Whether a file seems to be a Word document."""
    return content.startswith(b"PK\x03\x04") and b"word/" in content


def parse(content: bytes, options: FormatOptions) -> Draft:
    """Parse a document.

    Raises:
        InvalidDocument: it is none, is damaged or encrypted, or has macros.
        TooLarge: it is when it is unpacked.
    """
    parts = unpack(content)
    roots = {name: xml.parse(parts[name]) for name in _names(parts, _TEXT_PARTS)}
    found = [paragraph for root in roots.values() for paragraph in paragraphs(root)]
    asked = [(paragraph, len(paragraph.segments)) for paragraph in found]

    def render(translations: Sequence[Translated]) -> bytes:
        remaining = (translated.text for translated in translations)
        for paragraph, count in asked:
            paragraph.fill(list(islice(remaining, count)))
        changed = dict(roots)
        for name in _names(parts, _WITH_LANGUAGE):
            changed[name] = changed.get(name, xml.parse(parts[name]))
            _set_language(changed[name], options.target)
        return repack(content, {name: _write(root) for name, root in changed.items()})

    return Draft([segment for paragraph in found for segment in paragraph.segments], render)


def _names(parts: dict[str, bytes], kinds: Sequence[str]) -> list[str]:
    """Return the names of the parts of some kinds, in the order of the archive."""
    if _TYPES not in parts:
        raise InvalidDocument("the file is no Word document: it has no list of parts", field="file")
    types = xml.parse(parts[_TYPES])
    told = {each.get("PartName", "").lstrip("/"): each.get("ContentType", "") for each in types}
    if any(mark in text for mark in _MACROS for text in [*told, *told.values(), *parts]):
        raise InvalidDocument("files with macros are not accepted", field="file")
    if not any("wordprocessingml.document.main" in kind for kind in told.values()):
        raise InvalidDocument("the file is no Word document: it has no text part", field="file")
    return [
        name
        for name in parts
        if any(f"wordprocessingml.{kind}+xml" in told.get(name, "") for kind in kinds)
    ]


def _set_language(root: etree._Element, target: str) -> None:
    # For the spell checker; other scripts have attributes of their own.
    for language in root.iter(f"{WORD}lang"):
        if language.get(f"{WORD}val"):
            language.set(f"{WORD}val", target)


def _write(root: etree._Element) -> bytes:
    written: bytes = etree.tostring(
        root.getroottree(), xml_declaration=True, encoding="UTF-8", standalone=True
    )
    return written
