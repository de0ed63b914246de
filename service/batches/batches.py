"""Batches: large files that come as a stream, are translated by a job, and leave as a stream.

    submit -> Batch -> find ... find -> result -> delete

Nothing here holds a file: it is cut into pieces while it comes, and no more than a piece of it is
ever in memory. All methods that a request waits for leave the event loop free.
"""

import asyncio
import secrets
import threading
import time
from collections.abc import AsyncIterable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

from service.batches.files import BatchFiles, Record, Summary
from service.batches.intake import Arrival, BatchLimits, Order
from service.batches.work import BatchWork
from service.engine import Library
from service.errors import NotFound, NotReady, Overloaded, ServiceError, restored
from service.jobs import Jobs, JobState, JobStatus
from service.kept_jobs import KeptJobs

KIND = "batch"


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch and how far it is."""

    id: str
    record: Record
    state: JobState
    done: int
    """Of the lines, rows or units."""
    expires: datetime
    """When it will be removed, if nothing more is done to it."""
    seconds_remaining: int | None
    """Until it is done, by its progress so far; None if nothing can be said."""
    summary: Summary | None
    """If it is done."""
    failure: ServiceError | None


@dataclass(frozen=True, slots=True)
class BatchResult:
    """A translated file."""

    path: Path
    file_name: str
    media_type: str


class Batches:
    """The batches of all callers."""

    def __init__(
        self,
        files: BatchFiles,
        library: Library,
        jobs: Jobs,
        limits: BatchLimits,
        max_running: int = 1,
    ) -> None:
        self._files = files
        self._folders = files.folders
        self._library = library
        self._limits = limits
        self._counting = threading.Lock()
        self._arriving: set[str] = set()
        self._kept = KeptJobs(
            KIND,
            files.folders,
            jobs,
            files.record,
            limits.keep_seconds,
            is_arriving=self._arriving.__contains__,
        )
        jobs.register(KIND, BatchWork(files, library), max_running)

    async def submit(
        self,
        order: Order,
        blocks: AsyncIterable[bytes],
        charge: Callable[[int], object] = lambda characters: None,
    ) -> Batch:
        """Take in a file and queue its translation; if anything fails, nothing is kept.

        Args:
            blocks: The file. What cannot be served is refused before the first one is asked for.
            charge: told the characters when all is there, on the event loop; may refuse.

        Raises:
            UnsupportedPair: no model translates between these languages.
            InvalidDocument: the file is not what it should be; the message tells the line.
            TextTooLong: a line has too many characters.
            TooLarge: there are too many lines.
            Overloaded: no more batches can be kept, or the service begins or ends.
            StoreUnavailable: they cannot be kept now.
        """
        arrival = Arrival(self._files, secrets.token_hex(16), order, self._limits)
        try:
            await asyncio.to_thread(self._begin, arrival, order)
            async for block in blocks:
                await asyncio.to_thread(arrival.feed, block)
            charge(await asyncio.to_thread(arrival.measure))
            return await asyncio.to_thread(self._keep, arrival)
        except BaseException as failure:
            await asyncio.shield(asyncio.to_thread(arrival.abandon, failure))
            raise
        finally:
            self._arriving.discard(arrival.id)

    async def find(self, id: str, *, owner: str | None = None) -> Batch:
        """Return a batch.

        Raises:
            NotFound: there is none, or not for this caller.
        """
        return await asyncio.to_thread(self._find, id, owner)

    async def list(
        self, *, owner: str | None = None, state: JobState | None = None, most: int = 100
    ) -> Sequence[Batch]:
        """Return the batches of an owner, the newest first.

        Args:
            owner: those of no owner, if None.
            state: only those in it.
        """
        return await asyncio.to_thread(self._list, owner, state, most)

    async def cancel(self, id: str, *, owner: str | None = None) -> Batch:
        """Give a batch up and keep what is known of it; what is over stays as it is.

        Raises:
            NotFound: there is none for this caller.
        """
        return await asyncio.to_thread(self._cancel, id, owner)

    async def delete(self, id: str, *, owner: str | None = None) -> None:
        """Give a batch up, if it is under way, and remove all that is left of it.

        Raises:
            NotFound: there is none for this caller.
        """
        await asyncio.to_thread(self._delete, id, owner)

    async def result(self, id: str, *, owner: str | None = None) -> BatchResult:
        """Return where the translated file lies.

        Raises:
            NotFound: there is no such batch for this caller, or it was cancelled.
            NotReady: it is not done.
            ServiceError: that for which it failed.
        """
        return await asyncio.to_thread(self._result, id, owner)

    async def sweep(self) -> None:
        """Remove what has expired, now and again until cancelled."""
        await self._kept.sweep()

    def _begin(self, arrival: Arrival, order: Order) -> None:
        with self._library.hold() as models:
            models.find(order.source, order.target)
        most = self._limits.max_batches
        with self._counting:
            if len({*self._folders.ids(), *self._arriving}) >= most:
                raise Overloaded(f"{most} batches are kept already")
            self._arriving.add(arrival.id)
        arrival.begin()

    def _keep(self, arrival: Arrival) -> Batch:
        record = arrival.keep()
        return self._describe(arrival.id, record, self._kept.submit(arrival.id))

    def _find(self, id: str, owner: str | None) -> Batch:
        record = self._kept.record(id, owner)
        return self._describe(id, record, self._kept.status(id))

    def _list(self, owner: str | None, state: JobState | None, most: int) -> Sequence[Batch]:
        newest = islice(self._kept.newest(owner, state), most)
        return tuple(self._describe(*each) for each in newest)

    def _cancel(self, id: str, owner: str | None) -> Batch:
        self._kept.record(id, owner)
        self._kept.cancel(id)
        return self._find(id, owner)

    def _delete(self, id: str, owner: str | None) -> None:
        self._kept.record(id, owner)
        self._kept.remove(id)

    def _result(self, id: str, owner: str | None) -> BatchResult:
        batch = self._find(id, owner)
        if batch.failure is not None:
            raise batch.failure
        if batch.state == "cancelled":
            raise NotFound("the batch was cancelled, and has no result", field="id")
        path = self._files.result(id)
        if batch.state != "done" or path is None:
            raise NotReady(f"the batch is {batch.state}")
        layout = batch.record.layout
        suffix, media_type = _TYPES[layout.format]
        return BatchResult(path, f"{id}.{layout.target}{suffix}", media_type)

    def _describe(self, id: str, record: Record, status: JobStatus) -> Batch:
        return Batch(
            id=id,
            record=record,
            state=status.state,
            done=status.done,
            expires=self._kept.expires(id),
            seconds_remaining=_seconds_remaining(record, status),
            summary=self._files.summary(id) if status.state == "done" else None,
            failure=restored(status.code, status.message) if status.code else None,
        )


_TYPES = {
    "lines": (".txt", "text/plain"),
    "tsv": (".tsv", "text/tab-separated-values"),
    "tmx": (".tmx", "application/x-tmx+xml"),
}
"""The end of the name of a result, and its media type."""


def _seconds_remaining(record: Record, status: JobStatus) -> int | None:
    if status.state != "running" or not status.done:
        return None
    elapsed_seconds = time.time() - record.created
    return round(elapsed_seconds * (status.total - status.done) / status.done)
