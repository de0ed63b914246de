"""Translation memories (TMX 1.4): a unit without the target language gets a variant in it."""

from collections.abc import Sequence

from lxml import etree

from service.errors import InvalidDocument
from service.formats import xml
from service.formats.draft import Draft, FormatOptions, Translated, is_alike
from service.formats.inline import Inline

_CODES = {"bpt", "ept", "it", "ph", "ut"}
"""Elements that hold codes of another format, not text."""


def looks_like(content: bytes) -> bool:
    """Whether the first element of a file has the right name."""
    return xml.has_root(content, "tmx")


def parse(content: bytes, options: FormatOptions) -> Draft:
    """Parse a translation memory.

    Raises:
        InvalidDocument: it is none, or does not say which of its languages is the source.
    """
    file = xml.read(content)
    if xml.local_name(file.root) != "tmx":
        raise InvalidDocument("the file is no TMX: its root is another element", field="file")
    source = _source(file.root) if options.source == "auto" else options.source
    variants = [
        variant
        for unit in file.root.iter("tu")
        for variant in _open_variants(unit, source, options.target)
    ]
    inlines = [Inline(variant.find("seg"), _CODES) for variant in variants]
    asked = [i for i, inline in enumerate(inlines) if inline.has_letters]

    def render(translations: Sequence[Translated]) -> bytes:
        for i, translated in zip(asked, translations, strict=True):
            _add_variant(variants[i], inlines[i], translated.text, options.target)
        return file.write()

    return Draft([inlines[i].segment for i in asked], render, source)


def _source(root: etree._Element) -> str:
    header = root.find("header")
    source = header.get("srclang", "") if header is not None else ""
    if not source or source == "*all*":
        message = "the header of the TMX names no source language: say which one it is"
        raise InvalidDocument(message, field="source")
    return source


def _open_variants(unit: etree._Element, source: str, target: str) -> list[etree._Element]:
    """Return the variant to translate, if there is one and no translation yet."""
    variants = [variant for variant in unit.iter("tuv") if variant.find("seg") is not None]
    if any(is_alike(_language(variant), target) for variant in variants):
        return []
    return [variant for variant in variants if is_alike(_language(variant), source)][:1]


def _language(variant: etree._Element) -> str:
    return variant.get(xml.LANGUAGE) or variant.get("lang") or ""


def _add_variant(variant: etree._Element, inline: Inline, translation: str, target: str) -> None:
    last = variant.getparent().findall("tuv")[-1]
    added = etree.Element("tuv", {xml.LANGUAGE: target})
    added.text = variant.text
    segment = etree.SubElement(added, "seg")
    inline.fill(segment, translation)
    segment.tail = variant.find("seg").tail
    last.addnext(added)
    added.tail, last.tail = last.tail, last.getparent().text
