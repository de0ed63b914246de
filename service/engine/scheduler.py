r"""Continuous batching: many sentences share each decoder step.

A sentence joins a batch between two steps and leaves it as soon as its own beam is done, so
a short sentence never waits for a long one, and nobody waits for a batch to fill. `submit`
is the only door, any thread may use it; several workers take from one waiting line.

    submit -> waiting line -> worker 0 -> Future
                         \--> worker 1 -> Future
"""

import math
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from time import monotonic

from service import metrics
from service.engine.search import Hypothesis, SearchOptions
from service.engine.waiting_line import Priority, Sentence, WaitingLine
from service.engine.worker import MakeBatch, Worker, fail
from service.errors import InvalidRequest, Overloaded

# With these, what a turn contributed to the measured speed is halved after 350 turns.
_SPEED_DECAY = 0.998
# A step may outlast the patience of `close`; then the thread is left behind.
_ABORT_SECONDS = 2.0
_UNLOADING = "the model is being unloaded"


class Speed:
    """Source tokens decoded per second of work, as a moving average over turns."""

    def __init__(self) -> None:
        self._tokens = 0.0
        self._seconds = 0.0

    def note(self, num_tokens: int, seconds: float) -> None:
        """Add one turn of one worker."""
        self._tokens = _SPEED_DECAY * self._tokens + num_tokens
        self._seconds = _SPEED_DECAY * self._seconds + seconds

    def seconds_for(self, num_tokens: int, workers: int) -> int:
        """Return how long so many tokens will take, in whole seconds and at least 1."""
        if not self._tokens:
            return 1
        return max(1, math.ceil(num_tokens * self._seconds / self._tokens / max(1, workers)))


class Scheduler:
    """Decodes sentences in batches that change with every step, on several threads."""

    def __init__(
        self,
        make_batch: MakeBatch,
        *,
        workers: int,
        max_rows: int,
        max_waiting_tokens: int,
        model: str = "",
    ) -> None:
        self._max_rows = max_rows
        self._max_waiting_tokens = max_waiting_tokens
        self._line = WaitingLine()
        self._speed = Speed()
        self._is_closed = self._is_aborted = False
        self._changed = threading.Condition()
        self._waiting_sentences = metrics.WAITING_SENTENCES.labels(model)
        self._waiting_tokens = metrics.WAITING_TOKENS.labels(model)
        self._rows = metrics.ROWS.labels(model)
        self._cancelled = metrics.CANCELLED.labels(model)
        self._workers = [Worker(make_batch, self, model, i) for i in range(workers)]
        self._working = set(self._workers)
        for worker in self._workers:
            worker.start()

    @property
    def is_alive(self) -> bool:
        """Whether every worker runs."""
        return all(worker.is_alive for worker in self._workers)

    @property
    def stalled_seconds(self) -> float:
        """How long the longest of the present turns has lasted; a turn is one step."""
        return max(worker.stalled_seconds for worker in self._workers)

    def submit(
        self,
        sources: Sequence[Sequence[int]],
        options: Sequence[SearchOptions],
        *,
        priority: Priority = "interactive",
        deadline: float | None = None,
    ) -> list[Future[list[Hypothesis]]]:
        """Queue the sentences of one text, given as token ids, all of them or none.

        A future's result is the sentence's hypotheses, best first. Cancelling it frees the
        sentence's place in the line at once, or its rows before the next step.

        Raises:
            InvalidRequest: a beam is wider than the batch.
            Overloaded: more tokens are waiting than may be, or the model is being unloaded.
        """
        width = max((each.width for each in options), default=0)
        if width > self._max_rows:
            message = f"beam width {width} exceeds {self._max_rows}"
            raise InvalidRequest(message, field="beam", limit=self._max_rows)
        pairs = zip(sources, options, strict=True)
        sentences = [Sentence(*pair, priority, deadline) for pair in pairs]
        with self._changed:
            self._check_room()
            for sentence in sentences:
                self._line.add(sentence)
            self._show_line()
            self._changed.notify_all()
        for sentence in sentences:
            sentence.future.add_done_callback(partial(self._on_done, sentence))
        return [sentence.future for sentence in sentences]

    def close(self, timeout_seconds: float | None = None) -> None:
        """Finish what was accepted, then stop; what is not done in time fails."""
        deadline = None if timeout_seconds is None else monotonic() + timeout_seconds
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for worker in self._workers:
            worker.join(None if deadline is None else max(0.0, deadline - monotonic()))
        if any(worker.is_alive for worker in self._workers):
            self._abort()

    def await_work(self, worker: Worker) -> bool:
        """See `Supply`."""
        with self._changed:
            self._rows.set(sum(each.rows for each in self._workers))
            self._changed.wait_for(
                lambda: worker.rows or len(self._line) or self._is_closed or self._is_aborted
            )
            return not self._is_aborted and bool(worker.rows or len(self._line))

    def take(self, worker: Worker) -> list[Sentence]:
        """See `Supply`. Never more than leaves the other workers their share."""
        with self._changed:
            free = self._max_rows - worker.rows
            rows_of_all = self._line.rows + sum(each.rows for each in self._working)
            share = math.ceil(rows_of_all / len(self._working)) - worker.rows
            # Nobody is encoded alone when many wait: then a quarter of the rows must be free.
            has_room = free >= min(self._max_rows // 4, self._line.rows)
            if worker.rows and not (share > 0 and has_room):
                return []
            taken = self._line.take(min(free, share), free)
            worker.rows += sum(sentence.options.width for sentence in taken)
            self._show_line()
            return taken

    def note_turn(self, num_tokens: int, seconds: float) -> None:
        """See `Supply`."""
        with self._changed:
            self._speed.note(num_tokens, seconds)

    def leave(self, worker: Worker) -> None:
        """See `Supply`. With the last worker goes all hope of those who wait."""
        with self._changed:
            self._working.discard(worker)
            abandoned = [] if self._working else self._empty_line()
        fail(abandoned, Overloaded, _UNLOADING)

    def _check_room(self) -> None:
        if self._is_closed or not self._working:
            raise Overloaded(_UNLOADING)
        if self._line.tokens > self._max_waiting_tokens:
            seconds = self._speed.seconds_for(self._line.tokens, len(self._working))
            message = (
                f"{self._line.tokens} tokens are waiting, more than {self._max_waiting_tokens}"
            )
            raise Overloaded(message, retry_after_seconds=seconds)

    def _on_done(self, sentence: Sentence, future: Future[list[Hypothesis]]) -> None:
        if not future.cancelled():
            return
        self._cancelled.inc()
        with self._changed:
            if self._line.remove(sentence):
                self._show_line()

    def _abort(self) -> None:
        with self._changed:
            self._is_aborted = True
            abandoned = self._empty_line()
            self._changed.notify_all()
        for worker in self._workers:
            abandoned += worker.active
        fail(abandoned, Overloaded, _UNLOADING)
        for worker in self._workers:
            worker.join(_ABORT_SECONDS)

    def _empty_line(self) -> list[Sentence]:
        waiting = self._line.clear()
        self._show_line()
        return waiting

    def _show_line(self) -> None:
        self._waiting_sentences.set(len(self._line))
        self._waiting_tokens.set(self._line.tokens)
