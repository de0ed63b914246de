"""XLIFF 1.2 and 2.0: a unit without a translation gets one, marked as to be reviewed."""

from collections.abc import Sequence

from lxml import etree

from service.errors import InvalidDocument
from service.formats import xml
from service.formats.draft import Draft, FormatOptions, Translated, is_alike
from service.formats.inline import Inline

_CODES = {"bpt", "ept", "it", "ph", "x", "bx", "ex", "cp", "sc", "ec", "sm", "em"}
"""Elements that hold codes of another format, not text."""
_LANGUAGES = {"1.2": ("source-language", "target-language"), "2.0": ("srcLang", "trgLang")}


def looks_like(content: bytes) -> bool:
    """Whether the first element of a file has the right name."""
    return xml.has_root(content, "xliff")


def parse(content: bytes, options: FormatOptions) -> Draft:
    """Parse a file of units.

    Raises:
        InvalidDocument: it is none, or its languages are others than those asked for.
    """
    file = xml.read(content)
    if xml.local_name(file.root) != "xliff":
        raise InvalidDocument("the file is no XLIFF: its root is another element", field="file")
    is_old = file.root.get("version", "").startswith("1")
    names = ("source-language", "target-language") if is_old else ("srcLang", "trgLang")
    described = list(xml.children(file.root, "file")) if is_old else [file.root]
    source = _source(described, names[0], options)
    sources = [each for each in file.root.iter() if _is_open(each)]
    inlines = [Inline(each, _CODES) for each in sources]
    asked = [i for i, inline in enumerate(inlines) if inline.has_letters]

    def render(translations: Sequence[Translated]) -> bytes:
        for each in described:
            each.set(names[1], options.target)
        for i, translated in zip(asked, translations, strict=True):
            _fill(sources[i], inlines[i], translated.text)
        return file.write()

    return Draft([inlines[i].segment for i in asked], render, source)


def _source(described: list[etree._Element], name: str, options: FormatOptions) -> str:
    told: str | None = next((each.get(name) for each in described if each.get(name)), None)
    if told is None:
        return options.source
    if options.source != "auto" and not is_alike(told, options.source):
        message = f"the file is in {told[:20]!a}, not in {options.source[:20]!a}"
        raise InvalidDocument(message, field="source")
    return told


def _is_open(element: etree._Element) -> bool:
    if xml.local_name(element) != "source" or _is_protected(element):
        return False
    targets = xml.children(element.getparent(), "target")
    return not any("".join(target.itertext()).strip() or len(target) for target in targets)


def _is_protected(element: etree._Element) -> bool:
    within = [element, *element.iterancestors()]
    if any(xml.local_name(each) == "alt-trans" for each in within):
        return True
    told = (each.get("translate") for each in within)
    return next((each for each in told if each), "yes") == "no"


def _fill(source: etree._Element, inline: Inline, translation: str) -> None:
    target = next(xml.children(source.getparent(), "target"), None)
    if target is None:
        target = etree.Element(etree.QName(etree.QName(source).namespace, "target"))
        source.addnext(target)
        target.tail = source.tail
    if xml.local_name(source.getparent()) == "trans-unit":
        target.set("state", "needs-review-translation")
    inline.fill(target, translation)
