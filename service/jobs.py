"""Durable work: a job that was accepted goes on after a crash from its last finished chunk.

    submit -> queued -> [ chunk, chunk, ..., finish ] -> done

What the work is, and where its material lies, is the matter of a `Work`; `service.job_engine` keeps
which jobs there are and which chunks of them are done. It is started with the first job, or in the
background if there may be jobs from before: it takes seconds, and whoever only translates texts
never waits for it.

What may pass does no harm to a job: it waits while the engine of translation is overloaded, and for
a while if the disk is full or what is kept cannot be reached. If its own progress cannot be
recorded, it goes on from its last recorded chunk when it can be.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from service import metrics
from service.errors import Overloaded, ServiceError, StoreUnavailable
from service.job_engine import JobEngine
from service.job_folders import is_full

if TYPE_CHECKING:
    from dbos import WorkflowStatus

log = logging.getLogger(__name__)

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
UNDER_WAY: frozenset[JobState] = frozenset({"queued", "running"})

FIRST_KIND, FIRST_QUEUE = "document", "jobs"
"""Documents were there before other kinds, and theirs wait in a queue of an older name."""
PATIENCE_SECONDS = 600.0
"""How long a job waits for room on the disk."""
FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.5, 15.0
"""Between tries, each pause being twice the one before."""
REVIVING_SECONDS = 5.0
"""How often jobs are looked for whose progress could not be recorded."""

_STATES: Mapping[str, JobState] = {
    "DELAYED": "queued",
    "ENQUEUED": "queued",
    "PENDING": "running",
    "CANCELLED": "cancelled",
}


class Work(Protocol):
    """What jobs of one kind do, in threads; a chunk that a crash interrupts is run again."""

    def plan(self, id: str) -> Sequence[int]:
        """Return how much each chunk of the job is, in the units its progress is told in."""

    def run(self, id: str, chunk: int, check: Callable[[], None]) -> object:
        """Do one chunk, and return what `finish` needs of it: little, and never a user's text.

        Calls `check` between its parts, and lets through what that raises.
        """

    def finish(self, id: str, results: Sequence[Any], check: Callable[[], None]) -> None:
        """Put the chunks together; calls `check` as `run` does."""


@dataclass(frozen=True, slots=True)
class JobStatus:
    """How far a job is."""

    state: JobState
    done: int
    total: int
    """0 until the job has begun."""
    code: str = ""
    """Of the failure, as in `service.errors`; empty if there is none."""
    message: str = ""


class _Abandoned(BaseException):
    """Work on the job ends here, and the engine records nothing of it."""


class _Failed(Exception):
    """A step has failed; a repeated job fails there again."""

    def __init__(self, outcome: dict[str, str]) -> None:
        super().__init__()
        self.outcome = outcome


class Jobs:
    """Runs jobs of the kinds that `register` names, a few at a time; any thread may use it.

    Each kind has a queue of its own: a long job keeps no other kind waiting. Only one `Jobs` at a
    time may be at work in a process.

    Args:
        folder: Where the default database lies and the lock that keeps other processes out.
        database: URL of another database, or empty.
        patience_seconds: How long a job waits for room on the disk before it fails.
    """

    def __init__(
        self, folder: Path, database: str = "", patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._engine = JobEngine(folder, database)
        self._patience_seconds = patience_seconds
        self._work: dict[str, Work] = {}
        self._max_running: dict[str, int] = {}
        self._launching = threading.Lock()
        self._is_launched = False
        self._changed = threading.Condition()
        self._running: Counter[str] = Counter()
        self._given_up: set[str] = set()
        self._closing = threading.Event()
        self._reviver = threading.Thread(target=self._revive, name="reviving", daemon=True)

    def register(self, kind: str, work: Work, max_running: int = 2) -> None:
        """Tell what jobs of a kind do, before any job can be at work.

        Args:
            max_running: Jobs of the kind that are worked on at a time.
        """
        self._work[kind] = work
        self._max_running[kind] = max_running

    def resume(self) -> None:
        """Go on, in the background, with what was left unfinished, if there may be any."""
        if self._engine.may_have_jobs:
            threading.Thread(target=self._resume, name="resuming", daemon=True).start()

    def submit(self, kind: str, id: str) -> None:
        """Queue a job; doing so twice is doing so once.

        Raises:
            Overloaded: the service is shutting down.
            StoreUnavailable: jobs cannot be kept now, or another process works on them.
        """
        self._launched().submit(_queue(kind), kind, id)
        metrics.JOBS.labels(kind, "accepted").inc()

    def status(self, id: str) -> JobStatus | None:
        """Return how far a job is, or None if there is none."""
        found = self._launched().find(id)
        return None if found is None else _status(*found)

    def ids(self, kind: str) -> list[str]:
        """Return all jobs of a kind, oldest first."""
        return self._launched().ids(_queue(kind))

    def cancel(self, id: str, timeout_seconds: float = 60.0) -> None:
        """Give a job up, and wait until nobody works on it; it is not resumed."""
        engine = self._launched()
        found = engine.find(id)  # nobody is made to wait if it cannot be cancelled now
        with self._changed:
            self._given_up.add(id)
            self._changed.notify_all()
            # Only then, for DBOS takes it for a failure if a job under way turns out cancelled.
            self._changed.wait_for(lambda: id not in self._running, timeout_seconds)
        try:
            engine.cancel(id)
        except StoreUnavailable:
            with self._changed:
                self._given_up.discard(id)
            raise
        if found is not None and _status(*found).state in UNDER_WAY:
            metrics.JOBS.labels(_kind(found[0].queue_name or ""), "cancelled").inc()

    def forget(self, id: str) -> None:
        """Give a job up if it is not over, and remove what is known of it."""
        status = self.status(id)
        if status is not None:
            if status.state in ("queued", "running"):
                self.cancel(id)
            self._launched().delete(id)

    def close(self, timeout_seconds: float = 10.0) -> None:
        """Stop working; unfinished jobs go on when a process of the same folder begins."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        with self._launching:
            with self._changed:
                self._changed.wait_for(lambda: not self._running, timeout_seconds)
            if self._is_launched:
                self._reviver.join(timeout_seconds)
            self._engine.stop()

    def _resume(self) -> None:
        pause_seconds = FIRST_PAUSE_SECONDS
        while not self._closing.is_set():
            try:
                self._launched()
            except StoreUnavailable as failure:
                log.warning("jobs cannot be resumed yet", extra={"reason": str(failure)})
            except Exception:
                log.exception("jobs cannot be resumed")
                return
            else:
                return
            self._closing.wait(pause_seconds)
            pause_seconds = min(2 * pause_seconds, MAX_PAUSE_SECONDS)

    def _launched(self) -> JobEngine:
        with self._launching:
            if self._closing.is_set():
                raise Overloaded("the service is shutting down")
            if not self._is_launched:
                queues = {_queue(kind): number for kind, number in self._max_running.items()}
                self._engine.start(self._run, queues)
                self._is_launched = True
                self._reviver.start()
            return self._engine

    def _revive(self) -> None:
        """Go on with jobs that were begun and that nobody works on, as after a crash."""
        idle: set[str] = set()
        while not self._closing.wait(REVIVING_SECONDS):
            try:
                begun = self._engine.begun()
                with self._changed:
                    before, idle = idle, begun.keys() - self._running.keys()
                # Twice in a row, for a job that begins is begun a moment before it runs.
                for id in before & idle:
                    self._queue_again(id, begun[id])
            except StoreUnavailable:
                idle = set()
            except Exception:
                log.exception("jobs cannot be revived")

    def _queue_again(self, id: str, queue: str) -> None:
        with self._changed:  # not while it is being given up
            if id not in self._given_up and id not in self._running:
                self._engine.resume(id, queue)
                log.info("job goes on", extra={"job": id})

    def _run(self, kind: str, id: str) -> dict[str, str]:
        with self._changed:
            self._running[id] += 1  # twice, if it was resumed too early: the engine ends the first
        try:
            with metrics.JOBS_RUNNING.labels(kind).track_inprogress():
                outcome = self._run_steps(self._work[kind], id)
        except StoreUnavailable:  # of the engine itself: those of the work are outcomes
            raise _Abandoned from None
        else:
            metrics.JOBS.labels(kind, "failed" if outcome else "done").inc()
            return outcome
        finally:
            with self._changed:
                self._running -= Counter([id])
                self._changed.notify_all()

    def _run_steps(self, work: Work, id: str) -> dict[str, str]:
        """Run one job; what this does in which order is what the engine repeats after a crash."""

        def step(name: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401  # what JSON can hold
            self._check(id)
            outcome = self._engine.step(name, lambda: _outcome(id, partial(self._try, id, call)))
            if "result" not in outcome:
                raise _Failed(outcome)
            return outcome["result"]

        try:
            sizes = step("plan", lambda: list(work.plan(id)))
            done, total = 0, sum(sizes)
            results: list[Any] = []
            for chunk, size in enumerate(sizes):
                self._check(id)
                self._engine.tell(done, total)
                results.append(step("chunk", partial(self._run_chunk, work, id, chunk)))
                done += size
            self._check(id)
            self._engine.tell(total, total)  # to finish may take minutes
            step("finish", lambda: work.finish(id, results, partial(self._check, id)))
        except _Failed as failure:
            return failure.outcome
        return {}

    def _run_chunk(self, work: Work, id: str, chunk: int) -> object:
        log.debug("chunk begins", extra={"job": id, "chunk": chunk})
        result = work.run(id, chunk, partial(self._check, id))
        log.debug("chunk done", extra={"job": id, "chunk": chunk})
        return result

    def _try(self, id: str, call: Callable[[], Any]) -> object:
        """Make a call again and again while what hinders it may pass."""
        hindered_since, pause_seconds = 0.0, FIRST_PAUSE_SECONDS
        while True:
            self._check(id)
            try:
                return call()
            except Overloaded as refusal:  # nobody waits for a job: it has time
                self._pause(id, min(refusal.retry_after_seconds or 1, MAX_PAUSE_SECONDS))
            except (StoreUnavailable, OSError) as failure:
                reason = _passing(failure)
                hindered_since = hindered_since or time.monotonic()
                left_seconds = hindered_since + self._patience_seconds - time.monotonic()
                if left_seconds <= 0:
                    tried = f"tried for {self._patience_seconds:g} seconds"
                    raise StoreUnavailable(f"{reason} ({tried})") from None
                log.warning("job waits", extra={"job": id, "reason": reason})
                self._pause(id, min(pause_seconds, left_seconds))
                pause_seconds = min(2 * pause_seconds, MAX_PAUSE_SECONDS)

    def _pause(self, id: str, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._closing.is_set() or id in self._given_up, timeout=seconds
            )

    def _check(self, id: str) -> None:
        if self._closing.is_set() or id in self._given_up:
            raise _Abandoned


def _queue(kind: str) -> str:
    return FIRST_QUEUE if kind == FIRST_KIND else f"{FIRST_QUEUE}-{kind}"


def _kind(queue: str) -> str:
    return FIRST_KIND if queue == FIRST_QUEUE else queue.removeprefix(f"{FIRST_QUEUE}-")


def _passing(failure: StoreUnavailable | OSError) -> str:
    """Say what hinders a job and may pass; raises the failure if it will not."""
    if isinstance(failure, StoreUnavailable):
        return str(failure)
    if not is_full(failure):
        raise failure
    return "the disk is full"


def _outcome(id: str, call: Callable[[], Any]) -> dict[str, Any]:
    # An exception would be stored as it is, with whatever text it quotes.
    try:
        return {"result": call()}
    except ServiceError as failure:
        log.warning("job failed", extra={"job": id, "code": failure.code})
        return {"code": failure.code, "message": str(failure)}
    except Exception:
        log.exception("job failed", extra={"job": id})
        return {"code": ServiceError.code, "message": "internal error"}


def _status(found: "WorkflowStatus", progress: tuple[int, int]) -> JobStatus:
    done, total = progress
    if found.status == "SUCCESS":
        outcome: dict[str, str] = found.output or {}
        state: JobState = "failed" if outcome else "done"
        return JobStatus(state, done, total, **outcome)
    state = _STATES.get(found.status, "failed")
    code, message = (ServiceError.code, "internal error") if state == "failed" else ("", "")
    return JobStatus(state, done, total, code, message)
