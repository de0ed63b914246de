"""Documents: files that are uploaded, translated by a job, and fetched, until they expire.

    submit -> Document -> find ... find -> read -> delete

A file is parsed as it comes, so that whoever sends one hears at once what is wrong with it. All
methods that a request waits for leave the event loop free.
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from pathlib import PurePath
from typing import Literal

from service.document_files import DocumentFiles, Record
from service.document_intake import (
    AUTO,
    DocumentLimits,
    DocumentOptions,
    Examined,
    Upload,
    examine,
    sha256,
)
from service.document_work import DocumentWork
from service.engine import Library
from service.errors import NotReady, Overloaded, ServiceError, restored
from service.formats import FORMATS, FORMATS_BY_NAME
from service.jobs import Jobs, JobState, JobStatus
from service.kept_jobs import KeptJobs

__all__ = [
    "AUTO",
    "Document",
    "DocumentLimits",
    "DocumentOptions",
    "DocumentState",
    "Documents",
    "Result",
    "Upload",
    "suffixes",
]

KIND = "document"

DocumentState = Literal["queued", "translating", "done", "failed"]

_STATES: dict[JobState, DocumentState] = {
    "queued": "queued",
    "running": "translating",
    "done": "done",
    "failed": "failed",
    "cancelled": "failed",
}
_POLLING_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Document:
    """A document and how far it is."""

    id: str
    key: str
    """A second secret for dialects that want one; empty unless the document is new."""
    state: DocumentState
    done: int
    total: int
    """Segments; 0 if there is nothing to translate."""
    characters: int
    """Of all segments."""
    source: str
    target: str
    file_name: str
    result_name: str
    media_type: str
    expires: datetime
    """When it will be removed, if nothing more is done to it."""
    seconds_remaining: int | None
    """Until it is done, by its progress so far; None if nothing can be said."""
    failure: ServiceError | None


@dataclass(frozen=True, slots=True)
class Result:
    """A translated file."""

    content: bytes
    file_name: str
    media_type: str


class Documents:
    """The documents of all callers."""

    def __init__(
        self, files: DocumentFiles, library: Library, jobs: Jobs, limits: DocumentLimits
    ) -> None:
        self._files = files
        self._library = library
        self._limits = limits
        self._kept = KeptJobs(KIND, files.folders, jobs, files.record, limits.keep_seconds)
        jobs.register(KIND, DocumentWork(files, library), limits.max_running)

    async def submit(
        self, upload: Upload, charge: Callable[[int], object] = lambda characters: None
    ) -> Document:
        """Accept a file and queue its translation.

        Args:
            charge: told the characters before anything is kept, on the event loop; may refuse.

        Raises:
            InvalidRequest: what `examine` raises.
            Overloaded: no more documents can be kept, or the service begins or ends.
            StoreUnavailable: they cannot be kept now.
        """
        examined = await asyncio.to_thread(self._examine, upload)
        charge(examined.record.characters)
        return await asyncio.to_thread(self._keep, examined, upload)

    async def find(self, id: str, *, owner: str | None = None, key: str | None = None) -> Document:
        """Return a document.

        Args:
            key: what `submit` gave for it, if the dialect has such keys.

        Raises:
            NotFound: there is none, or not for this caller.
        """
        return await asyncio.to_thread(self._find, id, owner, key)

    async def wait(self, id: str, *, owner: str | None = None) -> Document:
        """Return a document when it is done.

        Raises:
            NotFound: there is none, or it was deleted meanwhile.
            ServiceError: that for which it failed.
        """
        while True:
            document = await self.find(id, owner=owner)
            if document.failure is not None:
                raise document.failure
            if document.state == "done":
                return document
            await asyncio.sleep(_POLLING_SECONDS)

    async def read(self, id: str, *, owner: str | None = None, key: str | None = None) -> Result:
        """Return the translated file.

        Raises:
            NotFound: there is no such document for this caller.
            NotReady: it is not done.
            ServiceError: that for which it failed.
        """
        document = await self.find(id, owner=owner, key=key)
        if document.failure is not None:
            raise document.failure
        content = await asyncio.to_thread(self._files.result, id)
        if document.state != "done" or content is None:
            raise NotReady(f"the document is {document.state}")
        return Result(content, document.result_name, document.media_type)

    async def delete(self, id: str, *, owner: str | None = None, key: str | None = None) -> None:
        """Give a document's job up and remove all that is left of it.

        Raises:
            NotFound: there is none for this caller.
        """
        await asyncio.to_thread(self._delete, id, owner, key)

    async def sweep(self) -> None:
        """Remove what has expired, now and again until cancelled."""
        await self._kept.sweep()

    def _examine(self, upload: Upload) -> Examined:
        if len(self._files.folders.ids()) >= self._limits.max_documents:
            raise Overloaded(f"{self._limits.max_documents} documents are kept already")
        return examine(upload, self._library, self._limits)

    def _keep(self, examined: Examined, upload: Upload) -> Document:
        id, terms = secrets.token_hex(16), upload.options.terms
        self._files.create(id, examined.record, upload.content, examined.chunks, terms)
        return self._describe(id, examined.record, self._kept.submit(id), examined.key)

    def _find(self, id: str, owner: str | None, key: str | None) -> Document:
        return self._describe(id, self._record(id, owner, key), self._kept.status(id))

    def _record(self, id: str, owner: str | None, key: str | None) -> Record:
        record = self._kept.record(id, owner)
        if key is not None and not compare_digest(sha256(key), record.key_sha256):
            raise self._kept.not_found()
        return record

    def _delete(self, id: str, owner: str | None, key: str | None) -> None:
        self._record(id, owner, key)
        self._kept.remove(id)

    def _describe(self, id: str, record: Record, status: JobStatus, key: str = "") -> Document:
        format = FORMATS_BY_NAME[record.format]
        name = PurePath(record.file_name)
        suffix = name.suffix or format.suffixes[0]
        return Document(
            id=id,
            key=key,
            state=_STATES[status.state],
            done=status.done,
            total=sum(record.chunk_sizes),
            characters=record.characters,
            source=record.options.source,
            target=record.options.target,
            file_name=record.file_name,
            result_name=f"{name.stem}.{record.options.target}{suffix}",
            media_type=format.media_type,
            expires=self._kept.expires(id),
            seconds_remaining=_seconds_remaining(record, status),
            failure=restored(status.code, status.message) if status.code else None,
        )


def suffixes() -> list[str]:
    """Return the ends of the names of files that can be translated, each with its dot."""
    return [suffix for format in FORMATS for suffix in format.suffixes]


def _seconds_remaining(record: Record, status: JobStatus) -> int | None:
    if status.state != "running" or not status.done:
        return None
    elapsed_seconds = time.time() - record.created
    return round(elapsed_seconds * (status.total - status.done) / status.done)
