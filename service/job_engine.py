"""The engine of `service.jobs`: DBOS, whose tables tell which jobs there are and what is done.

It knows one database in a process, so of all engines of a process only one may run at a time; and
of all processes that share a database, only one. Nobody waits for a database that is gone: requests
fail at once, and a job that runs ends where it is, to be resumed when it is back.
"""

import fcntl
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from service.errors import StoreUnavailable
from service.store import with_timeouts

if TYPE_CHECKING:
    from dbos import DBOSClient, WorkflowStatus

log = logging.getLogger(__name__)

FORMAT = "1"
"""DBOS goes on only with jobs of the same: to be raised when the steps of a job change."""
POLLING_SECONDS = 0.2
"""How often DBOS looks for new jobs: in three queues that costs 5 % of a core, at 0.1 nearly 9."""
REPETITION_SECONDS = 60.0
"""How often DBOS may give the same warning."""
DATABASE, LOCK = "jobs.sqlite", "jobs.lock"

_NAME, _WORKFLOW, _EXECUTOR, _PROGRESS = "dragoman", "job", "jobs", "progress"


class JobEngine:
    """Keeps jobs and runs them, each by a function of its kind and id; any thread may use it.

    All methods raise `StoreUnavailable` if the database cannot be reached, or has no room.

    Args:
        folder: Where the default database lies and the lock that keeps other processes out.
        database: URL of another database, or empty.
    """

    def __init__(self, folder: Path, database: str = "") -> None:
        self._folder = folder
        self._database = database
        self._client: DBOSClient | None = None
        self._lock_file: IO[bytes] | None = None

    @property
    def may_have_jobs(self) -> bool:
        """Whether there may be any from before."""
        return bool(self._database) or (self._folder / DATABASE).exists()

    def start(self, run: Callable[[str, str], dict[str, str]], queues: Mapping[str, int]) -> None:
        """Begin to work on what is queued and on what was left unfinished.

        Args:
            run: given the kind and the id of a job, returns its outcome.
            queues: for each, the jobs that are worked on at a time.

        Raises:
            StoreUnavailable: the database cannot be used now, or another process uses it.
        """
        from dbos import DBOS  # noqa: PLC0415  # slow to load

        self._lock()
        try:
            self._launch(run, queues)
        except Exception:
            log.exception("jobs cannot be kept")
            DBOS.destroy(destroy_registry=True)
            raise StoreUnavailable("jobs cannot be kept now") from None
        log.info("jobs ready")

    def stop(self) -> None:
        """Stop working; what is unfinished goes on when an engine is started."""
        if self._client is not None:
            from dbos import DBOS  # noqa: PLC0415  # slow to load

            self._client.destroy()
            DBOS.destroy(destroy_registry=True)
            self._client = None
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    def submit(self, queue: str, kind: str, id: str) -> None:
        """Queue a job; doing so twice is doing so once."""
        from dbos import EnqueueOptions  # noqa: PLC0415  # slow to load

        options = EnqueueOptions(
            workflow_name=_WORKFLOW, queue_name=queue, workflow_id=id, app_version=FORMAT
        )
        with self._tables() as tables:
            tables.enqueue(options, kind, id)

    def find(self, id: str) -> "tuple[WorkflowStatus, tuple[int, int]] | None":
        """Return the state of a job and what it has told of its progress; None if there is none."""
        with self._tables() as tables:
            found = tables.list_workflows(workflow_ids=[id], load_input=False)
            progress = tables.get_event(id, _PROGRESS, timeout_seconds=0) if found else None
        return (found[0], progress or (0, 0)) if found else None

    def ids(self, queue: str) -> list[str]:
        """Return all jobs of a queue, oldest first."""
        with self._tables() as tables:
            found = tables.list_workflows(queue_name=queue, load_input=False, load_output=False)
        return [each.workflow_id for each in found]

    def begun(self) -> dict[str, str]:
        """Return the jobs that have been begun and are not over, each with its queue."""
        with self._tables() as tables:
            found = tables.list_workflows(status="PENDING", load_input=False, load_output=False)
        return {each.workflow_id: each.queue_name or "" for each in found}

    def resume(self, id: str, queue: str) -> None:
        """Queue a job again that was begun, but that nobody works on."""
        with self._tables() as tables:
            tables.resume_workflow(id, queue_name=queue)

    def cancel(self, id: str) -> None:
        """Let a job that nobody works on be over."""
        with self._tables() as tables:
            tables.cancel_workflow(id)

    def delete(self, id: str) -> None:
        """Remove what is known of a job."""
        with self._tables() as tables:
            tables.delete_workflow(id)

    def step(self, name: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401  # what JSON can hold
        """Make a call within a job, or return what it returned before the job was interrupted."""
        from dbos import DBOS  # noqa: PLC0415  # slow to load

        with _reaching():
            return DBOS.run_step({"name": name}, call)

    def tell(self, done: int, total: int) -> None:
        """Tell the progress of the job within which this is called."""
        from dbos import DBOS  # noqa: PLC0415  # slow to load

        with _reaching():
            DBOS.set_event(_PROGRESS, [done, total])

    @contextmanager
    def _tables(self) -> "Iterator[DBOSClient]":
        if self._client is None:
            raise StoreUnavailable("jobs cannot be kept now")
        with _reaching():
            yield self._client

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

    def _launch(self, run: Callable[[str, str], dict[str, str]], queues: Mapping[str, int]) -> None:
        from dbos import (  # noqa: PLC0415  # slow to load
            DBOS,
            DBOSClient,
            DBOSConfig,
            DBOSPortableJSONSerializer,
        )

        url = (
            with_timeouts(self._database)
            if self._database
            else f"sqlite:///{self._folder / DATABASE}"
        )
        # Not pickled: what lies in a database must not be able to run as a program.
        serializer = DBOSPortableJSONSerializer()
        config = DBOSConfig(
            name=_NAME,
            system_database_url=url,
            application_version=FORMAT,
            executor_id=_EXECUTOR,
            enable_otlp=False,
            log_level="WARNING",
            serializer=serializer,
        )
        dbos = DBOS(config=config)
        _take_over_log()

        @DBOS.workflow(name=_WORKFLOW, max_recovery_attempts=None)
        def job(kind: str, id: str) -> dict[str, str]:
            return run(kind, id)

        DBOS.launch()
        # Else a job would sleep for up to a minute after the database is back, and could neither be
        # cancelled nor end with the process meanwhile. DBOS lets only its clients choose this.
        dbos._sys_db._retry_connection_errors = False
        for queue, max_running in queues.items():
            DBOS.register_queue(
                queue,
                worker_concurrency=max_running,
                polling_interval_sec=POLLING_SECONDS,
                on_conflict="always_update",
            )
        self._client = DBOSClient(
            system_database_url=url,
            serializer=serializer,
            application_name=_NAME,
            retry_connection_errors=False,
        )


@contextmanager
def _reaching() -> Iterator[None]:
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415  # slow to load

    try:
        yield
    except SQLAlchemyError as failure:
        # Without the statement and its parameters.
        reason = str(getattr(failure, "orig", None) or type(failure).__name__).splitlines()[0]
        log.warning("jobs cannot be reached", extra={"reason": reason})
        raise StoreUnavailable("jobs cannot be kept now") from None


class _Repetitions(logging.Filter):
    """Drops warnings that were given a short while ago: DBOS warns at each look for new jobs."""

    def __init__(self) -> None:
        super().__init__()
        self._next: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        place, now = (record.pathname, record.lineno), time.monotonic()
        if record.levelno != logging.WARNING:
            return True
        if now < self._next.get(place, 0.0):
            return False
        self._next[place] = now + REPETITION_SECONDS
        return True


def _take_over_log() -> None:
    """Let what DBOS has to say go where everything is logged."""
    logger = logging.getLogger("dbos")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    if not any(isinstance(each, _Repetitions) for each in logger.filters):
        logger.addFilter(_Repetitions())
    logger.propagate = True
