"""One decoding thread: admits sentences to its batch, steps it, lets the finished ones go.

    take -> admit -> step -> retire -> Future
     ^________________________|

It owns a `LiveBatch` and nobody else touches that. What fails here fails only the
sentences of this batch; the next ones may succeed.
"""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import InvalidStateError
from time import monotonic
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service import metrics
from service.engine.search import Beams
from service.engine.waiting_line import Sentence
from service.errors import ModelFailure, ServiceError

log = logging.getLogger(__name__)


class LiveBatch(Protocol):
    """The rows a model is decoding. Shapes: B rows, C candidates for each."""

    def admit(self, sources: Sequence[Sequence[int]]) -> range:
        """Encode sources, append one row for each, and return the new rows' indices."""

    def step(
        self, parents_B: NDArray[np.int64], tokens_B: NDArray[np.int64], candidates: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Let row i continue row `parents_B[i]` with `tokens_B[i]`; forget all other rows.

        Returns:
            scores_BC, tokens_BC: what may follow in each row, best first.
        """

    def clear(self) -> None:
        """Forget all rows. Must not fail."""


class Supply(Protocol):
    """Where a worker's sentences come from."""

    def await_work(self, worker: "Worker") -> bool:
        """Block until there is something to do; False if there never will be."""

    def take(self, worker: "Worker") -> list[Sentence]:
        """Take from those who wait what this worker should decode next."""

    def note_turn(self, num_tokens: int, seconds: float) -> None:
        """Hear how long a turn took and how many source tokens it finished."""

    def leave(self, worker: "Worker") -> None:
        """Hear that this worker will take no more."""


class Worker:
    """A thread that decodes what `supply` gives it; `start` starts it."""

    def __init__(self, batch: LiveBatch, supply: Supply, model: str, number: int) -> None:
        self._batch = batch
        self._supply = supply
        self._model = model
        self._beams = Beams()
        self._active: list[Sentence] = []
        self._turn_began: float | None = None
        self._thread = threading.Thread(
            target=self._run, name=f"decoding {model} {number}", daemon=True
        )
        self._step_seconds = metrics.STEP_SECONDS.labels(model)
        self._encode_seconds = metrics.ENCODE_SECONDS.labels(model)
        self._queue_seconds = metrics.QUEUE_SECONDS.labels(model)
        self.rows = 0
        """Rows that its sentences may use."""

    @property
    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    @property
    def stalled_seconds(self) -> float:
        """How long its present turn has lasted; 0 between turns."""
        began = self._turn_began
        return 0.0 if began is None else monotonic() - began

    @property
    def active(self) -> list[Sentence]:
        """The sentences being decoded, as a copy; any thread may ask."""
        return list(self._active)

    def start(self) -> None:
        """Begin to take sentences."""
        self._thread.start()

    def join(self, timeout_seconds: float | None) -> None:
        """Wait until its thread has ended, or the time is over."""
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        try:
            while self._supply.await_work(self):
                began = self._turn_began = monotonic()
                num_tokens = self._turn()
                self._turn_began = None
                self._supply.note_turn(num_tokens, monotonic() - began)
        finally:
            self._fail_active()
            self._supply.leave(self)

    def _turn(self) -> int:
        try:
            self._drop_settled()
            self._admit()
            if self._active:
                self._step()
            return self._retire()
        except Exception:
            # The rows are lost, but no caller may be left waiting for them, and the next
            # sentence may still succeed: fail these and carry on.
            log.exception(
                "decoding failed", extra={"model": self._model, "sentences": len(self._active)}
            )
            self._fail_active()
            return 0

    def _drop_settled(self) -> None:
        # Cancelled by the caller, or failed by a close that could not wait.
        is_open = np.array([not sentence.future.done() for sentence in self._active], np.bool_)
        if not is_open.all():
            self._keep(is_open)

    def _admit(self) -> None:
        joining = self._supply.take(self)
        if not joining:
            return
        began = monotonic()
        for sentence in joining:
            self._queue_seconds.observe(began - sentence.arrived)
        # Before encoding: if that fails, they fail with the rest.
        self._active = self._active + joining
        rows = self._batch.admit([sentence.source for sentence in joining])
        self._beams.join([sentence.options for sentence in joining], rows)
        self._encode_seconds.observe(monotonic() - began)

    def _step(self) -> None:
        began = monotonic()
        width = self._beams.width
        scores_BC, tokens_BC = self._batch.step(*self._beams.moves, width + 1 if width > 1 else 1)
        self._beams.advance(scores_BC, tokens_BC)
        self._step_seconds.observe(monotonic() - began)

    def _retire(self) -> int:
        is_done_N = self._beams.is_done
        num_tokens = 0
        for i in np.flatnonzero(is_done_N).tolist():
            sentence, found = self._active[i], self._beams.hypotheses(i)
            try:
                sentence.future.set_result(found)
            except InvalidStateError:
                continue  # cancelled during the step: there is nobody to tell
            num_tokens += sentence.length
            best = found[0]
            is_ended = best.finish_reason == "eos"
            metrics.SENTENCES.labels(self._model, best.finish_reason).inc()
            metrics.SOURCE_TOKENS.labels(self._model).inc(sentence.length)
            metrics.TARGET_TOKENS.labels(self._model).inc(len(best.tokens) + is_ended)
        if is_done_N.any():
            self._keep(~is_done_N)
        return num_tokens

    def _keep(self, keep_N: NDArray[np.bool_]) -> None:
        self._beams.keep(keep_N)
        self._active = [s for s, keep in zip(self._active, keep_N, strict=True) if keep]
        self._count_rows()
        if not self._active:
            # An idle model holds nothing of what it translated.
            self._batch.clear()
            self._beams = Beams()

    def _fail_active(self) -> None:
        failed, self._active, self._beams = self._active, [], Beams()
        self._batch.clear()
        self._count_rows()
        metrics.FAILED.labels(self._model).inc(fail(failed, ModelFailure, "the model failed"))

    def _count_rows(self) -> None:
        self.rows = sum(sentence.options.width for sentence in self._active)


def fail(sentences: Sequence[Sentence], kind: type[ServiceError], message: str) -> int:
    """Fail these sentences for all who still wait for them; return how many they were."""
    failed = 0
    for sentence in sentences:
        try:
            sentence.future.set_exception(kind(message))
        except InvalidStateError:
            continue  # cancelled, or done a moment ago
        failed += 1
    return failed
