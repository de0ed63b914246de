"""What lies on disk of a document: one folder for each, which goes away as a whole.

    documents/ID/  document.json  upload  source-0.json ...  target-0.json ...  result

Files appear by a rename, so that what is there is whole, whenever a process dies.
"""

import json
import logging
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from service.engine import Term, Terms
from service.errors import StoreUnavailable
from service.formats import FormatOptions, Segment, Translated

log = logging.getLogger(__name__)

ID = re.compile(r"[0-9a-f]{32}")
_RECORD, _TERMS, _UPLOAD, _RESULT = "document.json", "terms.json", "upload", "result"


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a document from its arrival on; nothing of it changes."""

    file_name: str
    format: str
    """Its name."""
    options: FormatOptions
    owner: str | None
    """Who alone may see it; None if whoever knows its id may."""
    key_sha256: str
    characters: int
    chunk_sizes: tuple[int, ...]
    """Segments in each chunk."""
    beam: int | None = None
    created: float = field(default_factory=time.time)
    """Seconds since 1970."""


class DocumentFiles:
    """The folders of all documents; any thread may use it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def create(
        self,
        id: str,
        record: Record,
        upload: bytes,
        chunks: Sequence[Sequence[Segment]],
        terms: Sequence[Term] = (),
    ) -> None:
        """Keep a new document.

        Args:
            terms: what must be translated in a given way.

        Raises:
            StoreUnavailable: the disk is full, or cannot be written to.
        """
        draft = self._root / f".{id}"
        try:
            draft.mkdir(mode=0o700, parents=True)
            (draft / _UPLOAD).write_bytes(upload)
            for i, chunk in enumerate(chunks):
                _dump(draft / f"source-{i}.json", [asdict(segment) for segment in chunk])
            _dump(draft / _TERMS, [asdict(term) for term in terms])
            _dump(draft / _RECORD, asdict(record))
            draft.rename(self._root / id)
        except OSError:
            log.exception("document cannot be kept")
            self.remove(id)
            raise StoreUnavailable("documents cannot be kept now") from None

    def record(self, id: str) -> Record | None:
        """Return what is known of a document; None if there is none."""
        if not ID.fullmatch(id):
            return None
        try:
            fields = json.loads((self._root / id / _RECORD).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        options = fields.pop("options")
        options["columns"] = tuple(options["columns"])
        sizes = tuple(fields.pop("chunk_sizes"))
        return Record(**fields, options=FormatOptions(**options), chunk_sizes=sizes)

    def upload(self, id: str) -> bytes:
        """Return the file as it came."""
        return (self._root / id / _UPLOAD).read_bytes()

    def terms(self, id: str) -> Terms:
        """Return what must be translated in a given way."""
        found = json.loads((self._root / id / _TERMS).read_text(encoding="utf-8"))
        return Terms(Term(**each) for each in found)

    def segments(self, id: str, chunk: int) -> list[Segment]:
        """Return the segments of a chunk."""
        found = json.loads((self._root / id / f"source-{chunk}.json").read_text(encoding="utf-8"))
        return [Segment(**each) for each in found]

    def keep_translations(self, id: str, chunk: int, translations: Sequence[Translated]) -> None:
        """Keep the translations of a chunk, one for each segment."""
        _dump(self._target(id, chunk), [asdict(each) for each in translations])

    def translations(self, id: str, num_chunks: int) -> Iterator[Translated]:
        """Yield the translations of all chunks."""
        for chunk in range(num_chunks):
            found = json.loads(self._target(id, chunk).read_text(encoding="utf-8"))
            yield from (Translated(**each) for each in found)

    def keep_result(self, id: str, content: bytes) -> None:
        """Keep the translated file."""
        _write(self._root / id / _RESULT, content)

    def result(self, id: str) -> bytes | None:
        """Return the translated file; None if there is none."""
        try:
            return (self._root / id / _RESULT).read_bytes()
        except FileNotFoundError:
            return None

    def changed(self, id: str) -> float:
        """Return when a file of the document was written last, in seconds since 1970.

        It is 0 if the document is gone.
        """
        for name in (id, f".{id}"):
            with suppress(FileNotFoundError):
                return (self._root / name).stat().st_mtime
        return 0.0

    def ids(self) -> list[str]:
        """Return all documents, those included whose arrival was interrupted."""
        folders = self._root.iterdir() if self._root.exists() else ()
        return [folder.name.removeprefix(".") for folder in folders]

    def remove(self, id: str) -> None:
        """Remove all that is left of a document."""
        for name in (id, f".{id}"):
            shutil.rmtree(self._root / name, ignore_errors=True)

    def _target(self, id: str, chunk: int) -> Path:
        return self._root / id / f"target-{chunk}.json"


def _dump(path: Path, value: object) -> None:
    _write(path, json.dumps(value, ensure_ascii=False).encode())


def _write(path: Path, content: bytes) -> None:
    draft = path.with_suffix(".draft")
    draft.write_bytes(content)
    draft.rename(path)
