"""Durable work: a job that was accepted goes on after a crash from its last finished chunk.

    submit -> queued -> [ chunk, chunk, ..., finish ] -> done

The job engine is DBOS, whose tables tell which jobs there are and which chunks of them are done;
what the work is, and where its material lies, is the matter of a `Work`. DBOS is imported and
launched with the first job, or in the background if there may be jobs from before: it takes
seconds, and whoever only translates texts never waits for it. It knows one database in a process,
so of all `Jobs` of a process only one may be at work at a time; and of all processes that share a
database, only one.
"""

import fcntl
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, Protocol

from service.errors import Overloaded, ServiceError, StoreUnavailable

if TYPE_CHECKING:
    from dbos import DBOS, WorkflowStatus

log = logging.getLogger(__name__)

JobState = Literal["queued", "running", "done", "failed", "cancelled"]

FORMAT = "1"
"""DBOS goes on only with jobs of the same: to be raised when the steps of `_run` change."""
FIRST_KIND, FIRST_QUEUE = "document", "jobs"
"""Documents were there before other kinds, and theirs wait in a queue of an older name."""
POLLING_SECONDS = 0.1
"""How often DBOS looks for new jobs: each costs it a query of a millisecond."""
DATABASE, LOCK = "jobs.sqlite", "jobs.lock"

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
    """The job ends here, for the service does or its caller gave it up; DBOS records nothing."""


class _Failed(Exception):
    """A step has failed; a repeated job fails there again."""

    def __init__(self, outcome: dict[str, str]) -> None:
        super().__init__()
        self.outcome = outcome


class Jobs:
    """Runs jobs of the kinds that `register` names, a few at a time; any thread may use it.

    Each kind has a queue of its own: a long job keeps no other kind waiting. Only one `Jobs` at a
    time may be at work in a process, for DBOS is global.

    Args:
        folder: Where the default database lies and the lock that keeps other processes out.
        database: URL of another database, or empty.
    """

    def __init__(self, folder: Path, database: str = "") -> None:
        self._folder = folder
        self._database = database
        self._work: dict[str, Work] = {}
        self._max_running: dict[str, int] = {}
        self._launching = threading.Lock()
        self._dbos: type[DBOS] | None = None
        self._lock_file: IO[bytes] | None = None
        self._changed = threading.Condition()
        self._running: set[str] = set()
        self._given_up: set[str] = set()
        self._closing = threading.Event()

    def register(self, kind: str, work: Work, max_running: int = 2) -> None:
        """Tell what jobs of a kind do, before any job can be at work.

        Args:
            max_running: Jobs of the kind that are worked on at a time.
        """
        self._work[kind] = work
        self._max_running[kind] = max_running

    def resume(self) -> None:
        """Go on, in the background, with what was left unfinished, if there may be any."""
        if self._database or (self._folder / DATABASE).exists():
            threading.Thread(target=self._try_to_launch, name="resuming", daemon=True).start()

    def submit(self, kind: str, id: str) -> None:
        """Queue a job; doing so twice is doing so once.

        Raises:
            Overloaded: the service is shutting down.
            StoreUnavailable: jobs cannot be kept now, or another process works on them.
        """
        from dbos import SetWorkflowID  # noqa: PLC0415  # slow to load

        dbos = self._launched()
        with SetWorkflowID(id):
            dbos.enqueue_workflow(_queue(kind), self._workflow, kind, id)

    def status(self, id: str) -> JobStatus | None:
        """Return how far a job is, or None if there is none."""
        dbos = self._launched()
        found = dbos.get_workflow_status(id)
        if found is None:
            return None
        done, total = dbos.get_event(id, "progress", timeout_seconds=0) or (0, 0)
        return _status(found, done, total)

    def ids(self, kind: str) -> list[str]:
        """Return all jobs of a kind, oldest first."""
        found = self._launched().list_workflows(load_output=False)
        return [each.workflow_id for each in found if each.input and each.input["args"][0] == kind]

    def cancel(self, id: str, timeout_seconds: float = 60.0) -> None:
        """Give a job up, and wait until nobody works on it; it is not resumed."""
        dbos = self._launched()
        with self._changed:
            self._given_up.add(id)
            # Only then, for DBOS takes it for a failure if a job under way turns out cancelled.
            self._changed.wait_for(lambda: id not in self._running, timeout_seconds)
        dbos.cancel_workflow(id)

    def forget(self, id: str) -> None:
        """Give a job up if it is not over, and remove what is known of it."""
        status = self.status(id)
        if status is not None:
            if status.state in ("queued", "running"):
                self.cancel(id)
            self._launched().delete_workflow(id)

    def close(self, timeout_seconds: float = 10.0) -> None:
        """Stop working; unfinished jobs go on when a process of the same folder begins."""
        self._closing.set()
        with self._launching, self._changed:
            self._changed.wait_for(lambda: not self._running, timeout_seconds)
            if self._dbos is not None:
                self._dbos.destroy(destroy_registry=True)
                self._dbos = None
            if self._lock_file is not None:
                self._lock_file.close()

    def _try_to_launch(self) -> None:
        try:
            self._launched()
        except Exception:
            log.exception("jobs cannot be resumed")

    def _launched(self) -> "type[DBOS]":
        with self._launching:
            if self._closing.is_set():
                raise Overloaded("the service is shutting down")
            if self._dbos is None:
                self._lock()
                self._dbos = self._launch()
            return self._dbos

    def _lock(self) -> None:
        if self._lock_file is not None:
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock_file = (self._folder / LOCK).open("wb")
        except OSError:
            log.exception("jobs cannot be kept")
            raise StoreUnavailable("jobs cannot be kept now") from None
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock_file.close()
            raise StoreUnavailable("another process works on the jobs of this folder") from None
        self._lock_file = lock_file

    def _launch(self) -> "type[DBOS]":
        from dbos import (  # noqa: PLC0415  # slow to load
            DBOS,
            DBOSConfig,
            DBOSPortableJSONSerializer,
        )

        config = DBOSConfig(
            name="dragoman",
            system_database_url=self._database or f"sqlite:///{self._folder / DATABASE}",
            application_version=FORMAT,
            executor_id="jobs",
            enable_otlp=False,
            log_level="WARNING",
            # Not pickled: what lies in a database must not be able to run as a program.
            serializer=DBOSPortableJSONSerializer(),
        )
        try:
            DBOS(config=config)
            _take_over_log()
            run = self._run_for(DBOS)
            self._workflow = DBOS.workflow(name="job", max_recovery_attempts=None)(run)
            DBOS.launch()
            for kind, max_running in self._max_running.items():
                DBOS.register_queue(
                    _queue(kind),
                    worker_concurrency=max_running,
                    polling_interval_sec=POLLING_SECONDS,
                    on_conflict="always_update",
                )
        except Exception:
            log.exception("jobs cannot be kept")
            DBOS.destroy(destroy_registry=True)
            raise StoreUnavailable("jobs cannot be kept now") from None
        log.info("jobs ready")
        return DBOS

    def _run_for(self, dbos: "type[DBOS]") -> Callable[[str, str], dict[str, str]]:
        def run(kind: str, id: str) -> dict[str, str]:
            with self._changed:
                self._running.add(id)
            try:
                return self._run(dbos, self._work[kind], id)
            finally:
                with self._changed:
                    self._running.discard(id)
                    self._changed.notify_all()

        return run

    def _run(self, dbos: "type[DBOS]", work: Work, id: str) -> dict[str, str]:
        """Run one job; what this does in which order is what DBOS repeats after a crash."""

        def step(name: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401  # what JSON can hold
            self._check(id)
            outcome = dbos.run_step({"name": name}, _outcome, id, call)
            if "result" not in outcome:
                raise _Failed(outcome)
            return outcome["result"]

        try:
            sizes = step("plan", lambda: list(work.plan(id)))
            results = []
            for chunk in range(len(sizes)):
                self._check(id)
                dbos.set_event("progress", [sum(sizes[:chunk]), sum(sizes)])
                results.append(step("chunk", partial(self._run_chunk, work, id, chunk)))
            step("finish", lambda: work.finish(id, results, lambda: self._check(id)))
        except _Failed as failure:
            return failure.outcome
        dbos.set_event("progress", [sum(sizes), sum(sizes)])
        return {}

    def _run_chunk(self, work: Work, id: str, chunk: int) -> object:
        while True:
            self._check(id)
            try:
                return work.run(id, chunk, lambda: self._check(id))
            except Overloaded as refusal:  # nobody waits for a job: it has time
                self._closing.wait(refusal.retry_after_seconds)

    def _check(self, id: str) -> None:
        if self._closing.is_set() or id in self._given_up:
            raise _Abandoned


def _queue(kind: str) -> str:
    return FIRST_QUEUE if kind == FIRST_KIND else f"{FIRST_QUEUE}-{kind}"


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


def _status(found: "WorkflowStatus", done: int, total: int) -> JobStatus:
    if found.status == "SUCCESS":
        outcome: dict[str, str] = found.output or {}
        state: JobState = "failed" if outcome else "done"
        return JobStatus(state, done, total, **outcome)
    state = _STATES.get(found.status, "failed")
    code, message = (ServiceError.code, "internal error") if state == "failed" else ("", "")
    return JobStatus(state, done, total, code, message)


def _take_over_log() -> None:
    """Let what DBOS has to say go where everything is logged."""
    logger = logging.getLogger("dbos")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    logger.propagate = True
