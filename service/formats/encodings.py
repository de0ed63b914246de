"""Bytes to text and back: byte order marks, declared encodings, and UTF-8 where nothing is said."""

import codecs
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from service.errors import InvalidDocument

# UTF-32 first: its mark begins with that of UTF-16.
_MARKS = [
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
]
# No encodings of files, and some take time that grows with the square of the length.
_UNWANTED = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"}


@dataclass(frozen=True, slots=True)
class Decoded:
    """The text of a file and how it was written."""

    text: str
    encoding: str
    mark: bytes = b""

    def can_encode(self, text: str) -> bool:
        """Whether the encoding has all characters of a text."""
        try:
            text.encode(self.encoding)
        except UnicodeEncodeError:
            return False
        return True

    def encode(self, text: str, errors: Literal["strict", "xmlcharrefreplace"] = "strict") -> bytes:
        """Write a text as this one was; in UTF-8 if the encoding lacks a character of it."""
        try:
            return self.mark + text.encode(self.encoding, errors)
        except UnicodeEncodeError:
            return text.encode()


def decode(
    content: bytes,
    wanted: str | None = None,
    find_declared: Callable[[bytes], str | None] = lambda content: None,
) -> Decoded:
    """Decode a file by its mark, else as the caller wants it, else as it declares itself.

    Raises:
        InvalidDocument: it is not so encoded, or no text.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return _decode(content.removeprefix(mark), encoding, mark)
    return _decode(content, wanted or find_declared(content) or "utf-8")


def _decode(content: bytes, encoding: str, mark: bytes = b"") -> Decoded:
    name = _known(encoding)
    try:
        text = content.decode(name)
    except UnicodeDecodeError as error:
        message = f"the file is not {name} from byte {error.start + len(mark)} on"
        raise InvalidDocument(message, field="encoding") from None
    if "\0" in text:
        raise InvalidDocument("the file is not text: it holds the character NUL", field="file")
    return Decoded(text, name, mark)


def _known(encoding: str) -> str:
    try:
        name = codecs.lookup(encoding).name
        "".encode(name)  # fails if it is no encoding of text
    except (LookupError, UnicodeError, ValueError):
        name = ""
    if not name or name.replace("_", "-") in _UNWANTED:
        message = f"the encoding {encoding[:40]!r} is not known"
        raise InvalidDocument(message, field="encoding")
    return name
