"""One decoding thread: admits sentences to its batches, steps them, lets the finished ones go.

    take -> admit -> step -> retire -> Future
     ^________________________|

Sentences whose beams have one width are decoded together, in a lane with a `LiveBatch` that
nobody else touches; those whose tokens are prescribed have lanes of their own, for they need
more candidates than others should pay for. What fails in a lane fails only its sentences; the
next ones may succeed.
"""

import logging
import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import InvalidStateError
from time import monotonic
from typing import Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from service import metrics
from service.engine.hypothesis import FinishReason, Lane, StepResult
from service.engine.search import Beams
from service.engine.waiting_line import Sentence
from service.errors import ModelFailure, ServiceError

log = logging.getLogger(__name__)

_REASONS: tuple[FinishReason, ...] = get_args(FinishReason)


class LiveBatch(Protocol):
    """The rows a model is decoding: N sentences, K rows of each, C candidates for each row."""

    def admit(
        self, sources: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]] | None = None
    ) -> range:
        """Encode sources, append one row for each, and return the new rows' indices.

        Args:
            wanted: Target tokens that each sentence must be able to choose.
        """

    def step(
        self,
        parents_NK: NDArray[np.int64],
        tokens_NK: NDArray[np.int64],
        candidates: int,
        *,
        with_attention: bool = False,
    ) -> list[StepResult]:
        """Let row k of sentence n continue row `parents_NK[n, k]`; forget all other rows.

        Returns:
            What may follow. With one candidate for one row of each sentence there may be
            several results: the model went on by itself with the best token of each.
        """

    def clear(self) -> None:
        """Forget all rows. Must not fail."""


MakeBatch = Callable[[int], LiveBatch]
"""Makes an empty batch for beams of one width."""


class Supply(Protocol):
    """Where a worker's sentences come from."""

    def await_work(self, worker: "Worker") -> bool:
        """Block until there is something to do; False if there never will be."""

    def take(self, worker: "Worker") -> list[Sentence]:
        """Take from those who wait what this worker should decode next."""

    def note_turn(self, worker: "Worker", seconds: float) -> None:
        """Hear how long a turn took, of which `take` was a part."""

    def leave(self, worker: "Worker") -> None:
        """Hear that this worker will take no more."""


class Worker:
    """A thread that decodes what `supply` gives it; `start` starts it."""

    def __init__(self, make_batch: MakeBatch, supply: Supply, model: str, number: int) -> None:
        self._make_batch = make_batch
        self._supply = supply
        self._model = model
        self._lanes: dict[Lane, _Lane] = {}
        # Those taken in this turn, whether their lane has admitted them yet or not.
        self._joining: list[Sentence] = []
        self._turn_began: float | None = None
        self._has_settled = False
        self._thread = threading.Thread(
            target=self._run, name=f"decoding {model} {number}", daemon=True
        )
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
        lanes = list(self._lanes.values())
        return [*self._joining, *(sentence for lane in lanes for sentence in lane.active)]

    def note_settled(self) -> None:
        """Hear that a sentence, perhaps one of its own, was given up; any thread may tell."""
        self._has_settled = True

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
                self._turn()
                self._turn_began = None
                self._supply.note_turn(self, monotonic() - began)
        finally:
            for lane in self._lanes.values():
                lane.fail()
            _fail_for_model(self._joining, self._model)
            self._count_rows()
            self._supply.leave(self)

    def _turn(self) -> None:
        """Take every lane one step further."""
        if self._has_settled:
            # First, for somebody may give up while the lanes are looked through.
            self._has_settled = False
            for lane in self._lanes.values():
                lane.drop_settled()
            self._count_rows()
        self._joining = self._supply.take(self)
        joining = self._by_lane(self._joining)
        for key, lane in self._lanes.items():
            lane.turn(joining.get(key, []))
        self._joining = []
        self._count_rows()

    def _by_lane(self, sentences: Sequence[Sentence]) -> dict[Lane, list[Sentence]]:
        """Group sentences by those with whom they are decoded; each group has a lane then."""
        joining: dict[Lane, list[Sentence]] = {}
        for sentence in sentences:
            joining.setdefault(sentence.options.lane, []).append(sentence)
        for key in joining.keys() - self._lanes.keys():
            width, _ = key
            try:
                self._lanes[key] = _Lane(self._make_batch(width), width, self._model)
            except Exception:
                log.exception("no batch could be made", extra={"model": self._model})
                _fail_for_model(joining[key], self._model)
        return joining

    def _count_rows(self) -> None:
        self.rows = sum(width * len(lane.active) for (width, _), lane in self._lanes.items())


class _Lane:
    """The sentences that a worker decodes together, and all that is known of their beams."""

    def __init__(self, batch: LiveBatch, width: int, model: str) -> None:
        self._batch = batch
        self._width = width
        self._model = model
        self._beams = Beams(width)
        self._step_seconds = metrics.STEP_SECONDS.labels(model)
        self._encode_seconds = metrics.ENCODE_SECONDS.labels(model)
        self._batch_rows = metrics.BATCH_ROWS.labels(model)
        self._paddings = metrics.PADDING.labels(model)
        self._step_rows = metrics.STEP_ROWS.labels(model)
        self._useful_rows = metrics.USEFUL_ROWS.labels(model)
        self._source_tokens = metrics.SOURCE_TOKENS.labels(model)
        self._target_tokens = metrics.TARGET_TOKENS.labels(model)
        self._sentences = {each: metrics.SENTENCES.labels(model, each) for each in _REASONS}
        self.active: list[Sentence] = []
        """In the order in which the beams hold them; replaced, never changed."""
        self._padding = 0.0

    def turn(self, joining: Sequence[Sentence]) -> None:
        """Admit, step, retire."""
        try:
            if joining:
                self._admit(joining)
            if self.active:
                self._step()
            self._retire()
        except Exception:
            # The rows are lost, but no caller may be left waiting for them, and the next
            # sentence may still succeed: fail these and carry on.
            extra = {"model": self._model, "sentences": len(self.active)}
            log.exception("decoding failed", extra=extra)
            self.fail()

    def drop_settled(self) -> None:
        """Free the rows of sentences that were given up, or whose deadline has passed."""
        is_open = np.array([not sentence.future.done() for sentence in self.active], np.bool_)
        if not is_open.all():
            self._keep(is_open)

    def fail(self) -> None:
        """Fail all sentences and forget them."""
        failed, self.active = self.active, []
        self._clear()
        _fail_for_model(failed, self._model)

    def _admit(self, joining: Sequence[Sentence]) -> None:
        began = monotonic()
        # Before encoding: if that fails, they fail with the rest.
        self.active = [*self.active, *joining]
        self._padding = _padding(self.active)
        sources = [sentence.source for sentence in joining]
        options = [sentence.options for sentence in joining]
        rows = self._batch.admit(sources, [each.wanted_tokens for each in options])
        self._beams.join(options, rows, sources)
        ended = monotonic()
        for sentence in joining:
            sentence.admitted, sentence.encoded = began, ended
        self._encode_seconds.observe(ended - began)

    def _step(self) -> None:
        began = monotonic()
        beams = self._beams
        results = self._batch.step(
            *beams.moves, beams.count_candidates(), with_attention=beams.reads_attention
        )
        for result in results:
            self._step_rows.inc(self._width * len(beams))
            self._useful_rows.inc(beams.num_live)
            beams.advance(result)
        self._batch_rows.observe(self._width * len(self.active))
        self._paddings.observe(self._padding)
        self._step_seconds.observe(monotonic() - began)

    def _retire(self) -> None:
        is_done_N = self._beams.is_done
        for i in np.flatnonzero(is_done_N).tolist():
            sentence, found = self.active[i], self._beams.hypotheses(i)
            if not found or not math.isfinite(found[0].score):
                _fail_for_model([sentence], self._model, "the model's scores are no numbers")
                continue
            sentence.note_end()  # before the answer, which tells of it
            try:
                sentence.future.set_result(found)
            except InvalidStateError:
                continue  # cancelled during the step: there is nobody to tell
            best = found[0]
            is_ended = best.finish_reason == "eos"
            self._sentences[best.finish_reason].inc()
            self._source_tokens.inc(sentence.length)
            self._target_tokens.inc(len(best.tokens) + is_ended)
        if is_done_N.any():
            self._keep(~is_done_N)

    def _keep(self, keep_N: NDArray[np.bool_]) -> None:
        self.active = [self.active[old] for old in self._beams.keep(keep_N).tolist()]
        self._padding = _padding(self.active)
        if not self.active:
            # An idle model holds nothing of what it translated.
            self._clear()

    def _clear(self) -> None:
        self._batch.clear()
        self._beams = Beams(self._width)


def _padding(sentences: Sequence[Sentence]) -> float:
    lengths = [sentence.length for sentence in sentences]
    places = len(lengths) * max(lengths, default=0)
    return 1 - sum(lengths) / places if places else 0.0


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


def _fail_for_model(
    sentences: Sequence[Sentence], model: str, message: str = "the model failed"
) -> None:
    metrics.FAILED.labels(model).inc(fail(sentences, ModelFailure, message))
