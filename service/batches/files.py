"""What lies on disk of a batch: one folder for each, which goes away as a whole.

    batches/ID/  batch.json  terms.json  pieces  index  target-0 ...  summary.json  result

`pieces` is the upload, in UTF-8, and `index` tells where each piece begins. When the result is
there, of all the others only the records remain.
"""

import codecs
import os
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from service.batches.layout import Layout, Piece
from service.engine import SplitMode, Term, Terms
from service.errors import InvalidDocument
from service.job_folders import JobFolders, dump, load, replacing, write

_RECORD, _TERMS, _SUMMARY = "batch.json", "terms.json", "summary.json"
_PIECES, _INDEX, _RESULT = "pieces", "index", "result"
_ENTRY = struct.Struct("<QQ")
"""Of the index: bytes before a piece, and its size in lines, rows or units."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a batch from its arrival on; nothing of it changes."""

    layout: Layout
    owner: str | None
    """Who alone may see it; None if whoever knows its id may."""
    encoding: str
    mark: str
    """The bytes before the text that tell its encoding, in hexadecimal."""
    size: int
    """Lines, rows or units."""
    characters: int
    """Of all that is translated."""
    beam: int | None = None
    length_penalty: float | None = None
    split: SplitMode = "sentences"
    created: float = field(default_factory=time.time)
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What the translations of a batch, or of a piece, have to tell."""

    models: tuple[str, ...] = ()
    """Names and versions, in order."""
    truncated: int = 0
    """Texts in which a sentence was cut off at its greatest length."""
    repetition_stopped: int = 0
    """Texts in which a sentence was ended because it went round in circles."""
    placeholder_lost: int = 0
    """Texts whose translation lacks a placeholder or a tag."""
    empty: int = 0
    """Texts whose translation is empty."""


class PieceWriter:
    """Writes the pieces of one batch, in order."""

    def __init__(self, pieces: IO[bytes], index: IO[bytes]) -> None:
        self._pieces = pieces
        self._index = index

    def add(self, piece: Piece) -> None:
        """Write a piece."""
        self._index.write(_ENTRY.pack(self._pieces.tell(), piece.size))
        self._pieces.write(piece.text.encode())

    def close(self) -> None:
        """Let all of it reach the disk."""
        self._index.write(_ENTRY.pack(self._pieces.tell(), 0))
        for file in (self._pieces, self._index):
            file.flush()
            os.fsync(file.fileno())


class BatchFiles:
    """The folders of all batches; any thread may use it."""

    def __init__(self, root: Path) -> None:
        self.folders = JobFolders(root)

    @staticmethod
    @contextmanager
    def writing(folder: Path) -> Iterator[PieceWriter]:
        """Open the files for the pieces of a new batch, in its folder."""
        with (folder / _PIECES).open("wb") as pieces, (folder / _INDEX).open("wb") as index:
            yield PieceWriter(pieces, index)

    @staticmethod
    def describe(folder: Path, record: Record, terms: Sequence[Term]) -> None:
        """Add to the folder of a new batch what is known of it."""
        dump(folder / _TERMS, [asdict(term) for term in terms])
        dump(folder / _RECORD, asdict(record))

    def record(self, id: str) -> Record | None:
        """Return what is known of a batch; None if there is none."""
        folder = self.folders.find(id)
        if folder is None:
            return None
        try:
            fields = load(folder / _RECORD)
        except FileNotFoundError:  # it has been removed meanwhile
            return None
        return Record(layout=Layout(**fields.pop("layout")), **fields)

    def terms(self, id: str) -> Terms:
        """Return what must be translated in a given way."""
        return Terms(Term(**each) for each in load(self._path(id, _TERMS)))

    def sizes(self, id: str) -> list[int]:
        """Return the size of each piece, in lines, rows or units.

        Raises:
            InvalidDocument: the files are not what they were.
        """
        index = self._path(id, _INDEX).read_bytes()
        pieces_bytes = self._path(id, _PIECES).stat().st_size
        if len(index) % _ENTRY.size or not index.endswith(_ENTRY.pack(pieces_bytes, 0)):
            raise InvalidDocument("the upload has been damaged on the disk of the service")
        return [size for _, size in _ENTRY.iter_unpack(index)][:-1]

    def piece(self, id: str, number: int) -> Piece:
        """Return a piece."""
        with self._path(id, _INDEX).open("rb") as index:
            index.seek(number * _ENTRY.size)
            (begin, size), (end, _) = _ENTRY.iter_unpack(index.read(2 * _ENTRY.size))
        with self._path(id, _PIECES).open("rb") as pieces:
            pieces.seek(begin)
            return Piece(pieces.read(end - begin).decode(), size)

    def keep_translation(self, id: str, number: int, content: bytes) -> None:
        """Keep what becomes of a piece."""
        write(self._target(id, number), content)

    def assemble(self, id: str, num_pieces: int, check: Callable[[], None]) -> None:
        """Put the result together, as the upload was encoded, and remove what it is made of.

        Args:
            check: called now and again; what it raises leaves everything as it was.
        """
        result = self._path(id, _RESULT)
        record = self.record(id)
        assert record is not None, "a batch is removed after its job"
        if not result.exists():  # else this was done before, up to some point
            targets = [self._target(id, number) for number in range(num_pieces)]
            try:
                _join(targets, result, record, check)
            except UnicodeEncodeError:  # the translation has characters that the encoding lacks
                _join(targets, result, replace(record, encoding="utf-8", mark=""), check)
        for number in range(num_pieces):
            self._target(id, number).unlink(missing_ok=True)
        for name in (_PIECES, _INDEX, _TERMS):
            self._path(id, name).unlink(missing_ok=True)

    def summarise(self, id: str, summary: Summary) -> None:
        """Keep what there is to tell of the translations."""
        dump(self._path(id, _SUMMARY), asdict(summary))

    def summary(self, id: str) -> Summary | None:
        """Return what there is to tell of the translations; None until all are done."""
        with suppress(FileNotFoundError):
            fields: dict[str, Any] = load(self._path(id, _SUMMARY))
            return Summary(models=tuple(fields.pop("models")), **fields)
        return None

    def result(self, id: str) -> Path | None:
        """Return where the result lies; None if there is none."""
        path = self._path(id, _RESULT)
        return path if path.exists() else None

    def _target(self, id: str, number: int) -> Path:
        return self._path(id, f"target-{number}")

    def _path(self, id: str, name: str) -> Path:
        return self.folders.path(id) / name


def _join(targets: Sequence[Path], result: Path, record: Record, check: Callable[[], None]) -> None:
    errors = "xmlcharrefreplace" if record.layout.format == "tmx" else "strict"
    encoder = codecs.getincrementalencoder(record.encoding)(errors)
    with replacing(result) as file:
        file.write(bytes.fromhex(record.mark))
        for target in targets:
            check()
            file.write(encoder.encode(target.read_bytes().decode()))
        file.write(encoder.encode("", final=True))
