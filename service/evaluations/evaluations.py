"""Evaluations: what is asked to be measured, how far it is, and what came out, until it expires.

    submit -> Evaluation -> find ... find -> report, read -> delete

What is asked is examined as it comes, so that whoever asks hears at once what is wrong with it. All
methods that a request waits for leave the event loop free.
"""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from service.engine import Library
from service.errors import (
    Conflict,
    NotFound,
    NotReady,
    Overloaded,
    ServiceError,
    restored,
)
from service.evaluations.files import HYPOTHESES, REPORT, EvaluationFiles, Record
from service.evaluations.intake import (
    Earlier,
    EvaluationLimits,
    Examined,
    Submission,
    content_hash,
    examine,
    key_hash,
)
from service.evaluations.report import Report
from service.evaluations.work import EvaluationWork
from service.jobs import UNDER_WAY, Jobs, JobState, JobStatus
from service.kept_jobs import KeptJobs
from service.test_sets import TestSet, TestSets

KIND = "evaluation"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """An evaluation and how far it is."""

    id: str
    record: Record
    state: JobState
    done: int
    total: int
    """Lines that models translate; 0 if none does."""
    expires: datetime
    """When it will be removed, if nothing more is done to it."""
    failure: ServiceError | None
    report: Report | None
    """If it is done."""


class Evaluations:
    """The evaluations of all callers.

    Args:
        max_running: how many are worked on at a time.
    """

    def __init__(  # all that it puts together
        self,
        files: EvaluationFiles,
        library: Library,
        jobs: Jobs,
        test_sets: TestSets,
        limits: EvaluationLimits,
        max_running: int = 1,
    ) -> None:
        self._files = files
        self._library = library
        self._jobs = jobs
        self._test_sets = test_sets
        self._limits = limits
        self._submitting = asyncio.Lock()
        self._ids_by_key: dict[str, str] | None = None
        self._kept = KeptJobs(KIND, files.folders, jobs, files.record, limits.keep_seconds)
        jobs.register(KIND, EvaluationWork(files, library), max_running)

    async def submit(
        self,
        submission: Submission,
        charge: Callable[[int], object] = lambda characters: None,
    ) -> Evaluation:
        """Accept a request and queue its work; or return what came of the same one before.

        Args:
            charge: told the characters to translate before anything is kept, on the event loop;
                may refuse.

        Raises:
            Conflict: the idempotency key was used for something else.
            InvalidRequest: what `examine` raises.
            Overloaded: no more evaluations can be kept, or the service begins or ends.
            StoreUnavailable: they cannot be kept now.
        """
        # Those with keys one after the other, or two of one key would not find each other.
        async with self._submitting if submission.key is not None else nullcontext():
            if submission.key is not None:
                known = await asyncio.to_thread(self._known, submission)
                if known is not None:
                    return known
            examined = await asyncio.to_thread(self._examine, submission)
            charge(examined.record.characters)
            return await asyncio.to_thread(self._keep, examined)

    async def find(self, id: str, *, owner: str | None = None) -> Evaluation:
        """Return an evaluation.

        Raises:
            NotFound: there is none, or not for this caller.
        """
        return await asyncio.to_thread(self._find, id, owner)

    async def find_all(
        self, *, owner: str | None = None, state: JobState | None = None, most: int = 100
    ) -> list[Evaluation]:
        """Return the evaluations of an owner, the newest first.

        Args:
            owner: those of no owner, if None.
            state: only those in it.
        """
        return await asyncio.to_thread(self._list, owner, state, most)

    async def cancel(self, id: str, *, owner: str | None = None) -> Evaluation:
        """Give an evaluation up and keep what is known of it; what is over stays as it is.

        Raises:
            NotFound: there is none for this caller.
        """
        return await asyncio.to_thread(self._cancel, id, owner)

    async def delete(self, id: str, *, owner: str | None = None) -> None:
        """Give an evaluation up, if it is under way, and remove all that is left of it.

        Raises:
            NotFound: there is none for this caller.
        """
        await asyncio.to_thread(self._delete, id, owner)

    async def read(self, id: str, name: str, *, owner: str | None = None) -> bytes:
        """Return one of its files.

        Raises:
            NotFound: there is no such evaluation for this caller, or it has no such file.
            NotReady: it is not done.
        """
        return await asyncio.to_thread(self._read, id, name, owner)

    async def report(self, id: str, *, owner: str | None = None) -> Report:
        """Return what came out.

        Raises:
            ServiceError: as for `read`.
        """
        return await asyncio.to_thread(self.find_report, id, owner)

    def find_report(self, id: str, owner: str | None = None) -> Report:
        """Return what came out; blocks.

        Raises:
            ServiceError: as for `read`.
        """
        return Report.model_validate_json(self._read(id, REPORT, owner))

    async def test_sets(self) -> list[TestSet]:
        """Return the test sets that the service has."""
        return await asyncio.to_thread(self._test_sets.find_all)

    async def sweep(self) -> None:
        """Remove what has expired, now and again until cancelled."""
        await self._kept.sweep()

    def _known(self, submission: Submission) -> Evaluation | None:
        """Return the evaluation that was asked for with the same key."""
        if self._ids_by_key is None:
            found = ((id, self._files.record(id)) for id in self._files.folders.ids())
            self._ids_by_key = {
                record.key_sha256: id for id, record in found if record and record.key_sha256
            }
        id = self._ids_by_key.get(key_hash(submission) or "")
        record = self._files.record(id) if id else None
        if id is None or record is None or self._kept.has_expired(id):
            return None
        if record.content_sha256 != content_hash(submission):
            message = f"idempotency_key: it was used for another evaluation, {id}"
            raise Conflict(message, field="idempotency_key")
        if self._jobs.status(id) is None:  # the process died before the job was queued
            self._jobs.submit(KIND, id)
        return self._find(id, submission.owner)

    def _examine(self, submission: Submission) -> Examined:
        most = self._limits.max_evaluations
        if len(self._files.folders.ids()) >= most:
            raise Overloaded(f"{most} evaluations are kept already")

        def find_earlier(id: str) -> Earlier:
            try:
                record = self._kept.record(id, submission.owner)
                content = self._read(id, HYPOTHESES, submission.owner, must_be_done=True)
            except NotFound as failure:
                message = f"baseline_job: {id[:40]!a}: {failure}"
                raise NotFound(message, field="baseline_job") from None
            return Earlier(record, content.decode().split("\n")[:-1])

        return examine(submission, self._library, self._test_sets, self._limits, find_earlier)

    def _keep(self, examined: Examined) -> Evaluation:
        id, record = secrets.token_hex(16), examined.record
        self._files.create(id, record, examined.texts)
        status = self._kept.submit(id)
        if record.key_sha256 and self._ids_by_key is not None:
            self._ids_by_key[record.key_sha256] = id
        return self._describe(id, record, status)

    def _find(self, id: str, owner: str | None) -> Evaluation:
        record = self._kept.record(id, owner)
        return self._describe(id, record, self._kept.status(id))

    def _list(self, owner: str | None, state: JobState | None, most: int) -> list[Evaluation]:
        newest = islice(self._kept.newest(owner, state), most)
        return [self._describe(*each) for each in newest]

    def _cancel(self, id: str, owner: str | None) -> Evaluation:
        self._kept.record(id, owner)
        self._kept.cancel(id)
        return self._find(id, owner)

    def _delete(self, id: str, owner: str | None) -> None:
        self._kept.record(id, owner)
        self._kept.remove(id)

    def _read(self, id: str, name: str, owner: str | None, *, must_be_done: bool = False) -> bytes:
        self._kept.record(id, owner)
        content = None if must_be_done else self._files.read(id, name)
        if content is not None:
            return content
        status = self._kept.status(id)
        if status.state in UNDER_WAY:
            raise NotReady(f"the evaluation is {status.state}")
        content = self._files.read(id, name)
        if content is None or status.state != "done":
            because = _because(status)
            raise NotFound(f"the evaluation has no {name}{because}", field="id")
        return content

    def _describe(self, id: str, record: Record, status: JobStatus) -> Evaluation:
        report = self._files.read(id, REPORT) if status.state == "done" else None
        total = sum(record.chunk_sizes)
        # The job tells of a chunk when it begins the next one, and scoring takes minutes.
        is_being_scored = status.state == "running" and self._files.is_translated(id, record)
        return Evaluation(
            id=id,
            record=record,
            state=status.state,
            done=total if is_being_scored else status.done,
            total=total,
            expires=self._kept.expires(id),
            failure=restored(status.code, status.message) if status.code else None,
            report=Report.model_validate_json(report) if report else None,
        )


def _because(status: JobStatus) -> str:
    """Say why an evaluation that is over has no report; not as its own failure.

    That may be one for which to ask again, as a full disk is, or one of this request.
    """
    if status.state == "failed":
        return f", for it failed: {status.message}"
    return ", for it was cancelled" if status.state == "cancelled" else ""
