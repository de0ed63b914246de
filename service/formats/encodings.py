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
_SNIFFED_BYTES = 1024
"""In which a file says how it is encoded, if it does."""


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


class BlockDecoder:
    """Decodes a file that comes in blocks, as `decode` does one that is there as a whole."""

    def __init__(
        self,
        wanted: str | None = None,
        find_declared: Callable[[bytes], str | None] = lambda content: None,
    ) -> None:
        self._wanted = wanted
        self._find_declared = find_declared
        self._first = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self.encoding = "utf-8"
        """As it was found in the first blocks; the same as its name in `Decoded`."""
        self.mark = b""
        self.fault = ""
        """What is wrong behind the text that was returned last; empty as long as nothing is."""

    def decode(self, block: bytes, *, is_last: bool = False) -> str:
        """Return the text that has come, up to a fault, behind which nothing may follow.

        Raises:
            InvalidDocument: the encoding is not known.
        """
        if self._decoder is None:
            self._first += block
            if len(self._first) < _SNIFFED_BYTES and not is_last:
                return ""
            block = self._begin()
        assert self._decoder is not None, "it has just begun"
        try:
            text = self._decoder.decode(block, is_last)
        except UnicodeDecodeError as error:
            self.fault = f"not {self.encoding}"
            text = bytes(error.object[: error.start]).decode(self.encoding, "replace")
        before, nul, _ = text.partition("\0")
        if nul:
            self.fault = "the character NUL, which no text has"
        return before

    def _begin(self) -> bytes:
        """Choose the encoding; return what has come, without its mark."""
        marks = ((mark, name) for mark, name in _MARKS if self._first.startswith(mark))
        self.mark, name = next(marks, (b"", ""))
        self.encoding = _known(
            name or self._wanted or self._find_declared(self._first) or self.encoding
        )
        self._decoder = codecs.getincrementaldecoder(self.encoding)()
        return self._first.removeprefix(self.mark)
