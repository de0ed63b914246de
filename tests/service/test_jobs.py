import errno
import logging
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from service.errors import InvalidRequest, Overloaded, StoreUnavailable
from service.jobs import Jobs

TIMEOUT_SECONDS = 30
PATIENCE_SECONDS = 2.0


class Counting:
    """Work of three chunks, each of which waits until the test lets it go on."""

    def __init__(self) -> None:
        self.ran: Counter[tuple[str, int]] = Counter()
        self.finished: dict[str, list[int]] = {}
        self.begun: dict[tuple[str, int], threading.Event] = {}
        self.may_end = threading.Event()
        self.may_end.set()
        self.finishing: set[str] = set()
        self.may_finish = threading.Event()
        self.may_finish.set()
        self.failures: dict[str, list[Exception]] = {}
        self.last_failures: dict[str, list[Exception]] = {}

    def plan(self, id: str) -> list[int]:
        return [10, 10, 5]

    def run(self, id: str, chunk: int, check) -> int:
        self.ran[id, chunk] += 1
        self.begun.setdefault((id, chunk), threading.Event()).set()
        if self.failures.get(id):
            raise self.failures[id].pop()
        while not self.may_end.wait(0.01):
            check()
        return chunk

    def finish(self, id: str, results: list[int], check) -> None:
        check()
        if self.last_failures.get(id):
            raise self.last_failures[id].pop()
        self.finishing.add(id)
        while not self.may_finish.wait(0.01):
            check()
        self.finished[id] = results

    def await_chunk(self, id: str, chunk: int) -> None:
        event = self.begun.setdefault((id, chunk), threading.Event())
        assert event.wait(TIMEOUT_SECONDS)


def await_state(jobs: Jobs, id: str, *states: str):
    ticker = threading.Event()
    for _ in range(20 * TIMEOUT_SECONDS):
        status = jobs.status(id)
        if status is not None and status.state in states:
            return status
        ticker.wait(0.05)
    raise TimeoutError(f"{id} is {status}")


class Database:
    """Whatever is written to any database meanwhile fails, as on a full disk."""

    def __init__(self) -> None:
        self.refusals = 0

    def refuse(self, connection, cursor, statement, parameters, context, is_many) -> None:
        if not statement.lstrip().startswith("SELECT"):
            self.refusals += 1
            cause = sqlite3.OperationalError("database or disk is full")
            raise OperationalError(statement, parameters, cause)

    @contextmanager
    def full(self) -> Iterator[None]:
        event.listen(Engine, "before_cursor_execute", self.refuse)
        try:
            yield
        finally:
            event.remove(Engine, "before_cursor_execute", self.refuse)


def full_disk() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")


def wait_until(is_so) -> None:
    ticker = threading.Event()
    for _ in range(20 * TIMEOUT_SECONDS):
        if is_so():
            return
        ticker.wait(0.05)
    raise TimeoutError


@pytest.fixture(scope="module")
def work() -> Counting:
    return Counting()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="module")
def jobs(work, folder):
    """One for all tests, for it takes a second to launch."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("service.jobs.FIRST_PAUSE_SECONDS", 0.05)
        monkeypatch.setattr("service.jobs.REVIVING_SECONDS", 0.2)
        jobs = Jobs(folder, patience_seconds=PATIENCE_SECONDS)
        jobs.register("count", work)
        jobs.register("long", work, max_running=1)
        yield jobs
        jobs.close()


def test_job_runs_each_chunk_once_and_finishes_with_their_results(jobs, work):
    jobs.submit("count", "plain")
    jobs.submit("count", "plain")

    status = await_state(jobs, "plain", "done", "failed")

    assert (status.state, status.done, status.total) == ("done", 25, 25)
    assert work.finished["plain"] == [0, 1, 2]
    assert [work.ran["plain", chunk] for chunk in range(3)] == [1, 1, 1]
    assert "plain" in jobs.ids("count")


def test_progress_counts_what_is_done(jobs, work):
    work.may_end.clear()
    jobs.submit("count", "slow")
    work.await_chunk("slow", 0)

    assert (jobs.status("slow").state, jobs.status("slow").done) == ("running", 0)
    work.may_end.set()
    await_state(jobs, "slow", "done")


def test_all_is_done_while_a_job_finishes(jobs, work):
    work.may_finish.clear()
    jobs.submit("count", "finishing")
    wait_until(lambda: "finishing" in work.finishing)

    status = jobs.status("finishing")

    work.may_finish.set()
    assert (status.state, status.done, status.total) == ("running", 25, 25)
    await_state(jobs, "finishing", "done")


def test_failure_is_told_and_leaves_others_alone(jobs, work):
    work.failures["bad"] = [InvalidRequest("beam: 9 exceeds 4")]
    jobs.submit("count", "bad")
    jobs.submit("count", "good")

    status = await_state(jobs, "bad", "failed", "done")

    assert (status.state, status.code, status.message) == (
        "failed",
        "invalid_request",
        "beam: 9 exceeds 4",
    )
    assert await_state(jobs, "good", "done", "failed").state == "done"


def test_bug_tells_nothing_of_itself(jobs, work, caplog):
    work.failures["bug"] = [KeyError("text of a user")]
    jobs.submit("count", "bug")

    status = await_state(jobs, "bug", "failed", "done")

    assert (status.code, status.message) == ("internal_error", "internal error")


def test_chunk_that_is_refused_for_overload_is_tried_again(jobs, work):
    work.failures["refused"] = [Overloaded("too much is waiting")]
    jobs.submit("count", "refused")

    assert await_state(jobs, "refused", "done", "failed").state == "done"
    assert work.ran["refused", 0] == 2


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_job_waits_for_room_on_the_disk(jobs, work, number, caplog):
    id = f"full-{number}"
    work.failures[id] = [OSError(number, ""), OSError(number, ""), OSError(number, "")]
    work.last_failures[id] = [OSError(number, ""), StoreUnavailable("reports cannot be kept now")]
    jobs.submit("count", id)

    assert await_state(jobs, id, "done", "failed").state == "done"
    assert [work.ran[id, chunk] for chunk in range(3)] == [4, 1, 1]
    assert work.finished[id] == [0, 1, 2]
    waits = [r.reason for r in caplog.records if r.getMessage() == "job waits"]
    assert Counter(waits) == {"the disk is full": 4, "reports cannot be kept now": 1}


def test_job_fails_if_there_is_no_room_for_long(jobs, work):
    work.failures["patient"] = [full_disk() for _ in range(1000)]
    jobs.submit("count", "patient")

    status = await_state(jobs, "patient", "failed", "done")

    assert (status.state, status.code, status.message) == (
        "failed",
        "store_unavailable",
        "the disk is full (tried for 2 seconds)",
    )
    assert 2 < work.ran["patient", 0] < 20


def test_disk_that_fails_otherwise_is_not_waited_for(jobs, work):
    work.failures["broken"] = [OSError(errno.EIO, "Input/output error")]
    jobs.submit("count", "broken")

    status = await_state(jobs, "broken", "failed", "done")

    assert (status.state, status.code) == ("failed", "internal_error")
    assert work.ran["broken", 0] == 1


@pytest.mark.parametrize("failure", [full_disk(), Overloaded("busy", retry_after_seconds=3600)])
def test_job_that_waits_is_cancelled_at_once(jobs, work, failure, monkeypatch):
    monkeypatch.setattr("service.jobs.FIRST_PAUSE_SECONDS", 60.0)
    id = f"waiting-{type(failure).__name__}"
    work.failures[id] = [failure]
    jobs.submit("count", id)
    work.await_chunk(id, 0)

    jobs.cancel(id, timeout_seconds=PATIENCE_SECONDS / 2)

    assert jobs.status(id).state == "cancelled"
    assert work.ran[id, 0] == 1


def test_job_whose_progress_cannot_be_recorded_goes_on_when_it_can(jobs, work):
    work.may_end.clear()
    jobs.submit("count", "unrecorded")
    work.await_chunk("unrecorded", 0)
    database = Database()

    with database.full():
        work.may_end.set()
        wait_until(lambda: database.refusals > 2)
        assert jobs.status("unrecorded").state == "running"

    status = await_state(jobs, "unrecorded", "done", "failed")
    assert (status.state, status.done) == ("done", 25)
    assert work.finished["unrecorded"] == [0, 1, 2]
    assert work.ran["unrecorded", 0] > 1
    assert [work.ran["unrecorded", chunk] for chunk in (1, 2)] == [1, 1]


def test_what_cannot_be_recorded_is_refused_and_can_be_asked_again(jobs, work):
    work.may_end.clear()
    jobs.submit("count", "kept")
    work.await_chunk("kept", 0)

    with Database().full():
        with pytest.raises(StoreUnavailable, match="jobs cannot be kept now"):
            jobs.submit("count", "refused-job")
        with pytest.raises(StoreUnavailable, match="jobs cannot be kept now"):
            jobs.cancel("kept")
    assert jobs.status("refused-job") is None
    work.may_end.set()

    # The caller was told that it is not cancelled, so it is not.
    assert await_state(jobs, "kept", "done", "failed", "cancelled").state == "done"


def test_cancelled_job_stops_and_stays_so(jobs, work, caplog):
    work.may_end.clear()
    jobs.submit("count", "given-up")
    work.await_chunk("given-up", 0)

    jobs.cancel("given-up")
    work.may_end.set()

    assert jobs.status("given-up").state == "cancelled"
    assert "given-up" not in work.finished
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


def test_queued_job_can_be_forgotten(jobs, work):
    work.may_end.clear()
    for id in ("first", "second", "third"):
        jobs.submit("count", id)
    work.await_chunk("first", 0)
    work.await_chunk("second", 0)

    assert jobs.status("third").state == "queued"
    jobs.forget("third")
    work.may_end.set()

    assert jobs.status("third") is None
    for id in ("first", "second"):
        await_state(jobs, id, "done")
    assert work.ran["third", 0] == 0


def test_each_kind_has_a_queue_of_its_own(jobs, work):
    work.may_end.clear()
    for id in ("long-1", "long-2"):
        jobs.submit("long", id)
    work.await_chunk("long-1", 0)

    jobs.submit("count", "short")
    work.await_chunk("short", 0)
    assert jobs.status("long-2").state == "queued"
    assert "short" not in jobs.ids("long")
    work.may_end.set()

    for id in ("short", "long-1", "long-2"):
        await_state(jobs, id, "done")


def test_unknown_job_has_no_status(jobs):
    assert jobs.status("unknown") is None
    jobs.forget("unknown")


def test_second_process_of_a_folder_is_refused(jobs, folder):
    jobs.status("unknown")

    with pytest.raises(StoreUnavailable, match="another process works on the jobs"):
        Jobs(folder).status("unknown")


def test_jobs_are_counted_by_what_becomes_of_them(jobs, work):
    def counted() -> list[float]:
        samples = [{"kind": "count", "outcome": each} for each in ("done", "failed", "cancelled")]
        return [REGISTRY.get_sample_value("dragoman_jobs_total", each) or 0 for each in samples]

    before = counted()
    work.failures["counted bad"] = [InvalidRequest("beam: 9 exceeds 4")]
    for id in ("counted good", "counted bad"):
        jobs.submit("count", id)
        await_state(jobs, id, "done", "failed")
    work.may_end.clear()
    jobs.submit("count", "counted cancelled")
    work.await_chunk("counted cancelled", 0)
    running = REGISTRY.get_sample_value("dragoman_running_jobs", {"kind": "count"})
    jobs.cancel("counted cancelled")
    work.may_end.set()

    assert running == 1
    assert [now - then for now, then in zip(counted(), before, strict=True)] == [1, 1, 1]
    wait_until(lambda: not REGISTRY.get_sample_value("dragoman_running_jobs", {"kind": "count"}))
