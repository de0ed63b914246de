"""Files that are zip archives of parts: read within bounds, written with all else as it was."""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping

from service.errors import InvalidDocument, TooLarge

MAX_PARTS = 5_000
MAX_UNPACKED_BYTES = 100_000_000
"""Of all parts together: ten times the largest upload by default."""

_DAMAGE = (
    *(zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, OSError, zlib.error, struct.error),
    *(ValueError, RuntimeError, IndexError),  # of places that lie outside of the file, and the like
)
"""What zipfile raises, as a fuzzer has found, for archives that are none."""

_OLD_OFFICE = b"\xd0\xcf\x11\xe0"
"""What files of the old binary formats begin with, and encrypted ones of the new."""


def unpack(content: bytes) -> dict[str, bytes]:
    """Return the parts of an archive by their names.

    Raises:
        InvalidDocument: it is damaged, encrypted, or no archive.
        TooLarge: it has too many parts, or they are too large.
    """
    if content.startswith(_OLD_OFFICE):
        raise InvalidDocument("the file is encrypted, or of an old binary format", field="file")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check(archive.infolist())
            # No more bytes come of a part than its entry says, whatever the data holds.
            return {entry.filename: archive.read(entry) for entry in archive.infolist()}
    except _DAMAGE:
        raise InvalidDocument("the file is no archive, or damaged", field="file") from None


def repack(content: bytes, changed: Mapping[str, bytes]) -> bytes:
    """Return an archive with other bytes in some of its parts."""
    written = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as archive,
        zipfile.ZipFile(written, "w") as copy,
    ):
        for entry in archive.infolist():
            part = changed.get(entry.filename)
            copy.writestr(entry, archive.read(entry) if part is None else part)
    return written.getvalue()


def _check(entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MAX_PARTS:
        message = f"file: {len(entries)} parts exceed {MAX_PARTS}"
        raise TooLarge(message, field="file", limit=MAX_PARTS)
    size_bytes = sum(entry.file_size for entry in entries)
    if size_bytes > MAX_UNPACKED_BYTES:
        message = f"file: {size_bytes} unpacked bytes exceed {MAX_UNPACKED_BYTES}"
        raise TooLarge(message, field="file", limit=MAX_UNPACKED_BYTES)
    if any(entry.flag_bits & 1 for entry in entries):
        raise InvalidDocument("the file is encrypted", field="file")
    if len({entry.filename for entry in entries}) < len(entries):
        raise InvalidDocument("the file has two parts of one name", field="file")
