"""Jobs that are done as they are submitted, or when a test wants it, by nobody else."""

from collections.abc import Callable
from dataclasses import replace

from service.errors import ServiceError
from service.jobs import JobStatus, Work


class InlineJobs:
    """Stands for `service.jobs.Jobs`."""

    def __init__(self) -> None:
        self.is_held = False
        self.before_chunk: Callable[[], None] = lambda: None
        self._work: dict[str, Work] = {}
        self._statuses: dict[str, JobStatus] = {}
        self._kinds: dict[str, str] = {}

    def register(self, kind: str, work: Work, max_running: int = 2) -> None:
        self._work[kind] = work

    def submit(self, kind: str, id: str) -> None:
        self._kinds[id] = kind
        self._statuses[id] = JobStatus("queued", 0, 0)
        if not self.is_held:
            self.run(id)

    def run(self, id: str) -> None:
        work = self._work[self._kinds[id]]
        sizes = work.plan(id)
        try:
            results = []
            for chunk in range(len(sizes)):
                self._statuses[id] = JobStatus("running", sum(sizes[:chunk]), sum(sizes))
                self.before_chunk()
                results.append(work.run(id, chunk, lambda: None))
            work.finish(id, results, lambda: None)
        except ServiceError as failure:
            status = JobStatus("failed", 0, sum(sizes), failure.code, str(failure))
        else:
            status = JobStatus("done", sum(sizes), sum(sizes))
        self._statuses[id] = status

    def status(self, id: str) -> JobStatus | None:
        return self._statuses.get(id)

    def cancel(self, id: str) -> None:
        self._statuses[id] = replace(self._statuses[id], state="cancelled")

    def forget(self, id: str) -> None:
        self._statuses.pop(id, None)
