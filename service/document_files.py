"""What lies on disk of a document: one folder for each, which goes away as a whole.

documents/ID/  document.json  terms.json  upload  source-0.json ...  target-0.json ...  result
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from service.engine import Term, Terms
from service.formats import FormatOptions, Segment, Translated
from service.job_folders import JobFolders, dump, load, write

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
        self.folders = JobFolders(root)

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
        with self.folders.create(id) as draft:
            write(draft / _UPLOAD, upload)
            for i, chunk in enumerate(chunks):
                dump(draft / f"source-{i}.json", [asdict(segment) for segment in chunk])
            dump(draft / _TERMS, [asdict(term) for term in terms])
            dump(draft / _RECORD, asdict(record))

    def record(self, id: str) -> Record | None:
        """Return what is known of a document; None if there is none."""
        folder = self.folders.find(id)
        try:
            fields = load(folder / _RECORD) if folder else None
        except FileNotFoundError:  # removed meanwhile
            fields = None
        if fields is None:
            return None
        options = fields.pop("options")
        options["columns"] = tuple(options["columns"])
        sizes = tuple(fields.pop("chunk_sizes"))
        return Record(**fields, options=FormatOptions(**options), chunk_sizes=sizes)

    def upload(self, id: str) -> bytes:
        """Return the file as it came."""
        return (self.folders.path(id) / _UPLOAD).read_bytes()

    def terms(self, id: str) -> Terms:
        """Return what must be translated in a given way."""
        found = load(self.folders.path(id) / _TERMS)
        return Terms(Term(**each) for each in found)

    def segments(self, id: str, chunk: int) -> list[Segment]:
        """Return the segments of a chunk."""
        found = load(self.folders.path(id) / f"source-{chunk}.json")
        return [Segment(**each) for each in found]

    def keep_translations(self, id: str, chunk: int, translations: Sequence[Translated]) -> None:
        """Keep the translations of a chunk, one for each segment."""
        dump(self._target(id, chunk), [asdict(each) for each in translations])

    def translations(self, id: str, num_chunks: int) -> Iterator[Translated]:
        """Yield the translations of all chunks."""
        for chunk in range(num_chunks):
            found = load(self._target(id, chunk))
            yield from (Translated(**each) for each in found)

    def keep_result(self, id: str, content: bytes) -> None:
        """Keep the translated file."""
        write(self.folders.path(id) / _RESULT, content)

    def result(self, id: str) -> bytes | None:
        """Return the translated file; None if there is none."""
        try:
            return (self.folders.path(id) / _RESULT).read_bytes()
        except FileNotFoundError:
            return None

    def _target(self, id: str, chunk: int) -> Path:
        return self.folders.path(id) / f"target-{chunk}.json"
