"""XML files: read without fetching or expanding anything, written as they were spelt."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from service.errors import InvalidDocument
from service.formats.encodings import Decoded, decode

LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"

_DECLARED = re.compile(rb"^<\?xml[^>]*?encoding\s*=\s*[\"']([\w.:-]+)")
_SNIFFED_BYTES = 1024
_PROLOG = re.compile(
    r"(?:\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(?:\[[^\]]*\]\s*)?>)*", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class XmlFile:
    """A file that is one XML document."""

    root: etree._Element
    _decoded: Decoded

    def write(self) -> bytes:
        """Return the file with what has been changed below its root."""
        original = self._decoded.text
        prolog = _PROLOG.match(original)
        assert prolog is not None, "it matches the empty text"
        end = original[len(original.rstrip()) :]
        written = etree.tostring(self.root, encoding="unicode", with_tail=False)
        if "\r\n" in original:
            written = written.replace("\n", "\r\n")
        return self._decoded.encode(f"{prolog[0]}{written}{end}", "xmlcharrefreplace")


def read(content: bytes) -> XmlFile:
    """Read a file.

    Raises:
        InvalidDocument: it is not well-formed, or declares entities.
    """
    decoded = decode(content, None, find_encoding)
    return XmlFile(parse(content), decoded)


def parse(content: bytes) -> etree._Element:
    """Return the root of an XML document.

    Raises:
        InvalidDocument: it is not well-formed, or declares entities.
    """
    parser = etree.XMLParser(
        resolve_entities=False, load_dtd=False, no_network=True, strip_cdata=False
    )
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        message = f"the XML is not well-formed in line {error.lineno}"
        raise InvalidDocument(message, field="file") from None
    document_type = root.getroottree().docinfo.internalDTD
    # References to them could multiply, or mean files of this machine.
    if document_type is not None and any(document_type.iterentities()):
        raise InvalidDocument("XML that declares entities is not accepted", field="file")
    return root


def has_root(content: bytes, name: str) -> bool:
    """Whether a file, to judge by its beginning, has a root of this name."""
    return f"<{name}".encode() in content[:_SNIFFED_BYTES]


def local_name(element: etree._Element) -> str:
    """Return the name of an element without its namespace; empty for comments and the like."""
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def children(element: etree._Element, name: str) -> Iterator[etree._Element]:
    """Yield the children of a name, whatever their namespace."""
    return (child for child in element if local_name(child) == name)


def find_encoding(content: bytes) -> str | None:
    """Return the encoding that the declaration of an XML file names, if there is one."""
    found = _DECLARED.match(content)
    return found[1].decode() if found else None
