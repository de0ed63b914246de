"""Jobs of one kind with the folders that hold their material: found, given up, removed, expired.

    folder filled -> submit -> record, status ... -> delete, or expires -> gone

What the jobs do is the matter of a `service.jobs.Work`, and what a caller is told of one that of
their owner: documents, evaluations, batches. All methods but `sweep` block.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

from service.errors import NotFound, ServiceError
from service.job_folders import JobFolders
from service.jobs import UNDER_WAY, Jobs, JobState, JobStatus

log = logging.getLogger(__name__)

_MAX_SWEEP_SECONDS = 600.0
_LEFT_SECONDS = 3600.0
"""After which a folder that nobody has finished filling is taken for left by a dead process."""
_LOST = JobStatus("failed", 0, 0, ServiceError.code, "internal error")


class Owned(Protocol):
    """What is known of a job from its beginning on, as far as it matters here."""

    @property
    def owner(self) -> str | None:
        """Who alone may see it; None if whoever knows its id may."""

    @property
    def created(self) -> float:
        """Seconds since 1970."""


R = TypeVar("R", bound=Owned)


class KeptJobs(Generic[R]):
    """The jobs of one kind, for their owners; any thread may use it.

    Args:
        kind: As `Jobs.register` was told; also what messages call one of them.
        read_record: Returns what is known of a job, or None if there is none.
        keep_seconds: For which a job that is over is kept after it was worked on last.
        is_arriving: Whether a folder is being filled by this process.
    """

    def __init__(
        self,
        kind: str,
        folders: JobFolders,
        jobs: Jobs,
        read_record: Callable[[str], R | None],
        keep_seconds: float,
        is_arriving: Callable[[str], bool] = lambda id: False,
    ) -> None:
        self._kind = kind
        self._folders = folders
        self._jobs = jobs
        self._read_record = read_record
        self._keep_seconds = keep_seconds
        self._is_arriving = is_arriving

    def submit(self, id: str) -> JobStatus:
        """Queue a job whose folder is there; if that fails, the folder goes.

        Raises:
            Overloaded: the service is shutting down.
            StoreUnavailable: jobs cannot be kept now.
        """
        try:
            self._jobs.submit(self._kind, id)
        except BaseException:
            self._folders.remove(id)
            raise
        return JobStatus("queued", 0, 0)

    def record(self, id: str, owner: str | None) -> R:
        """Return what is known of a job.

        Raises:
            NotFound: there is none, or not for this caller.
        """
        record = self._read_record(id)
        if record is None or record.owner not in (None, owner) or self.has_expired(id):
            raise self.not_found()
        return record

    def not_found(self) -> NotFound:
        """Return what is said of a job that a caller may not see, or that is not there."""
        return NotFound(f"there is no such {self._kind}", field="id")

    def status(self, id: str) -> JobStatus:
        """Return how far a job is."""
        # A job that nobody knows: the database is another one, or the process died in between.
        return self._jobs.status(id) or _LOST

    def newest(
        self, owner: str | None, state: JobState | None = None
    ) -> Iterator[tuple[str, R, JobStatus]]:
        """Yield the jobs of an owner, the newest first.

        Args:
            owner: those of no owner, if None.
            state: only those in it.
        """
        found = [
            (record.created, id, record)
            for id in self._folders.ids()
            if (record := self._read_record(id)) and record.owner == owner
        ]
        for _, id, record in sorted(found, key=lambda each: each[:2], reverse=True):
            if self.has_expired(id):
                continue
            status = self.status(id)
            if state in (None, status.state):
                yield id, record, status

    def cancel(self, id: str) -> None:
        """Give a job up if it is not over, and keep what is known of it."""
        if self.status(id).state in UNDER_WAY:
            self._jobs.cancel(id)

    def remove(self, id: str) -> None:
        """Give a job up if it is not over, and remove all that is left of it."""
        self._jobs.forget(id)
        self._folders.remove(id)

    def expires(self, id: str) -> datetime:
        """Return when a job will be removed, if nothing more is done to it and it is over then."""
        return datetime.fromtimestamp(self._expires(id), UTC)

    def has_expired(self, id: str) -> bool:
        """Tell whether a job was over for too long; how long it waits before does not matter."""
        return self._expires(id) <= time.time() and self.status(id).state not in UNDER_WAY

    async def sweep(self) -> None:
        """Remove what has expired, now and again until cancelled."""
        while True:
            await asyncio.to_thread(self._sweep)
            await asyncio.sleep(min(self._keep_seconds, _MAX_SWEEP_SECONDS))

    def _expires(self, id: str) -> float:
        return self._folders.changed(id) + self._keep_seconds

    def _sweep(self) -> None:
        for id in self._folders.ids():
            try:
                if self._is_left(id):
                    self.remove(id)
                    log.info("job expired", extra={"kind": self._kind, "job": id})
            except Exception:
                extra = {"kind": self._kind, "job": id}
                log.exception("job cannot be removed", extra=extra)

    def _is_left(self, id: str) -> bool:
        """Tell whether nobody wants a job any more, or its folder was never filled."""
        if self._is_arriving(id):
            return False
        if self._folders.find(id) is None:
            return self._folders.changed(id) + _LEFT_SECONDS <= time.time()
        return self.has_expired(id)
