r"""Continuous batching: many sentences share each decoder step.

A sentence joins a batch between two steps and leaves it as soon as its own beam is done, so
a short sentence never waits for a long one, and nobody waits for a batch to fill. `submit`
is the only door, any thread may use it; several workers take from one waiting room.

    submit -> waiting room -> worker 0 -> Future
                         \--> worker 1 -> Future

What is accepted ends: in hypotheses, in a failure, by its deadline or by its caller.
"""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from time import monotonic
from typing import get_args

from service import metrics
from service.engine.admission import Admission
from service.engine.deadlines import Deadlines
from service.engine.forecast import Forecast
from service.engine.hypothesis import Hypothesis, SearchOptions
from service.engine.policy import Policy
from service.engine.waiting_line import Priority, Sentence
from service.engine.waiting_room import Vacancy, WaitingRoom
from service.engine.worker import MakeBatch, Worker, fail
from service.errors import DeadlineExceeded, InvalidRequest, ModelFailure, Overloaded

log = logging.getLogger(__name__)

_PRIORITIES: tuple[Priority, ...] = get_args(Priority)
# A step may outlast the patience of `close`; then the thread is left behind.
_ABORT_SECONDS = 2.0
_UNLOADING = "the model is being unloaded"
_POLICY = Policy()


class Scheduler:
    """Decodes sentences in batches that change with every step, on several threads.

    Args:
        max_rows: rows that one worker decodes together.
        max_waiting_tokens: source tokens of one priority that may wait before texts are refused.
    """

    def __init__(
        self,
        make_batch: MakeBatch,
        *,
        workers: int,
        max_rows: int,
        max_waiting_tokens: int,
        model: str = "",
        policy: Policy = _POLICY,
    ) -> None:
        self._max_rows = max_rows
        self._model = model
        self._room = WaitingRoom(policy)
        self._admission = Admission(self._room, policy, max_waiting_tokens, model)
        self._deadlines = Deadlines(f"deadlines {model}")
        # Work that a worker took in its present turn, if somebody waits for want of rows.
        self._taken: dict[Worker, int] = {}
        # When a turn ended last, or the first of those who wait came after that.
        self._ticked = monotonic()
        self._is_closed = self._is_aborted = False
        self._changed = threading.Condition()
        self._rows = metrics.ROWS.labels(model)
        self._queue_seconds = {p: metrics.QUEUE_SECONDS.labels(model, p) for p in _PRIORITIES}
        self._workers = [Worker(make_batch, self, model, i) for i in range(workers)]
        self._working = set(self._workers)
        self._admission.workers = workers
        for worker in self._workers:
            worker.start()

    @property
    def is_alive(self) -> bool:
        """Whether every worker runs."""
        return bool(self._workers) and all(worker.is_alive for worker in self._workers)

    @property
    def stalled_seconds(self) -> float:
        """How long the longest present turn has lasted, which is a step, or a wait for one."""
        # Without the lock, for whoever asks must not be stuck too.
        waiting = monotonic() - self._ticked if len(self._room) else 0.0
        return max((worker.stalled_seconds for worker in self._workers), default=0.0) or waiting

    def submit(
        self,
        sources: Sequence[Sequence[int]],
        options: Sequence[SearchOptions],
        *,
        priority: Priority = "interactive",
        deadline: float | None = None,
    ) -> list[Future[list[Hypothesis]]]:
        """Queue the sentences of one text, given as token ids, all of them or none.

        A future's result is the sentence's hypotheses, best first; it fails with
        DeadlineExceeded if they are not there by `deadline`, as `time.monotonic` counts.
        Cancelling it frees the sentence's place in the line at once, or its rows before the
        next step; so does the deadline.

        Raises:
            InvalidRequest: a beam is wider than the batch.
            Overloaded: more is waiting than may be, or the model is being unloaded.
        """
        width = max((each.width for each in options), default=0)
        if width > self._max_rows:
            message = f"beam width {width} exceeds {self._max_rows}"
            raise InvalidRequest(message, field="beam", limit=self._max_rows)
        pairs = zip(sources, options, strict=True)
        sentences = [Sentence(*pair, priority, deadline) for pair in pairs]
        with self._changed:
            self._admission.check(priority)
            if not len(self._room):
                self._ticked = monotonic()
            for sentence in sentences:
                # First, for a worker that takes it asks for what has expired before it steps.
                self._deadlines.add(sentence)
                self._room.add(sentence)
            self._changed.notify_all()
        for sentence in sentences:
            sentence.future.add_done_callback(partial(self._on_done, sentence))
        return [sentence.future for sentence in sentences]

    def forget_speed(self) -> None:
        """Predict no wait until the speed has been measured anew."""
        with self._changed:
            self._admission.forecast = Forecast()

    def close(self, timeout_seconds: float | None = None) -> None:
        """Finish what was accepted, then stop; what is not done in time fails."""
        deadline = None if timeout_seconds is None else monotonic() + timeout_seconds
        with self._changed:
            self._is_closed, self._admission.workers = True, 0
            self._changed.notify_all()
        for worker in self._workers:
            worker.join(None if deadline is None else max(0.0, deadline - monotonic()))
        if any(worker.is_alive for worker in self._workers):
            self._abort()
        self._deadlines.close()
        # Workers know their scheduler: else only the garbage collector would free the model.
        self._workers = [worker for worker in self._workers if worker.is_alive]

    def await_work(self, worker: Worker) -> bool:
        """See `Supply`."""
        self._deadlines.expire()
        with self._changed:
            self._rows.set(sum(each.rows for each in self._workers))
            self._changed.wait_for(
                lambda: worker.rows or len(self._room) or self._is_closed or self._is_aborted
            )
            return not self._is_aborted and bool(worker.rows or len(self._room))

    def take(self, worker: Worker) -> list[Sentence]:
        """See `Supply`."""
        with self._changed:
            if not len(self._room):
                self._taken.pop(worker, None)
                return []
            try:
                vacancy = self._vacancy(worker)
                taken = self._room.take(vacancy)
            except Exception:
                # Nobody would ever be taken again: rather an error than to wait for ever.
                log.exception("admission failed", extra={"model": self._model})
                taken, abandoned = [], self._room.clear()
            else:
                abandoned = []
                self._note_taken(worker, taken, is_short=vacancy.is_short)
        failed = fail(abandoned, ModelFailure, "the model failed")
        metrics.FAILED.labels(self._model).inc(failed)
        return taken

    def note_turn(self, worker: Worker, seconds: float) -> None:
        """See `Supply`."""
        with self._changed:
            self._ticked = monotonic()
            work = self._taken.pop(worker, None)
            if work is not None:
                self._admission.forecast.note(work, seconds)

    def leave(self, worker: Worker) -> None:
        """See `Supply`. With the last worker goes all hope of those who wait."""
        with self._changed:
            self._working.discard(worker)
            self._admission.workers = 0 if self._is_closed else len(self._working)
            abandoned = [] if self._working else self._room.clear()
        fail(abandoned, Overloaded, _UNLOADING)

    def _vacancy(self, worker: Worker) -> Vacancy:
        batch = (each.options.width for each in worker.active if each.priority == "batch")
        return Vacancy(
            total=self._max_rows,
            in_use=worker.rows,
            batch=sum(batch),
            demand=self._room.rows + sum(each.rows for each in self._working),
            workers=len(self._working),
        )

    def _note_taken(self, worker: Worker, taken: Sequence[Sentence], *, is_short: bool) -> None:
        if is_short:
            self._taken[worker] = sum(sentence.work for sentence in taken)
        else:
            self._taken.pop(worker, None)
        now = monotonic()
        for sentence in taken:
            worker.rows += sentence.options.width
            self._queue_seconds[sentence.priority].observe(now - sentence.arrived)

    def _on_done(self, sentence: Sentence, future: Future[list[Hypothesis]]) -> None:
        self._deadlines.discard(sentence)
        if future.cancelled():
            counter = metrics.CANCELLED
        elif isinstance(future.exception(), DeadlineExceeded):
            counter = metrics.EXPIRED
        else:
            return
        with self._changed:
            was_waiting = self._room.remove(sentence)
        if not was_waiting:
            for worker in self._workers:
                worker.note_settled()
        counter.labels(self._model, "waiting" if was_waiting else "decoding").inc()

    def _abort(self) -> None:
        with self._changed:
            self._is_aborted = True
            abandoned = self._room.clear()
            self._changed.notify_all()
        for worker in self._workers:
            abandoned += worker.active
        fail(abandoned, Overloaded, _UNLOADING)
        for worker in self._workers:
            worker.join(_ABORT_SECONDS)
