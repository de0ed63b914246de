"""One model in one direction: text in, text out.

    text -> sentences -> ids -> scheduler -> ids -> sentences -> text

`preparation` leads to the scheduler and `composition` back; here is who asks whom, and when.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from time import monotonic

from models.bundle import Calibration, Decoding
from models.tokenizer import Tokenizer
from service.engine.composition import Composer, mean_confidence, mean_score, worst_reason
from service.engine.hypothesis import Hypothesis
from service.engine.preparation import Preparer, Work
from service.engine.scheduler import Scheduler
from service.engine.translation import Translation, TranslationOptions
from service.errors import Overloaded

# Texts that `translate_all` keeps in flight: enough to form groups of like length.
_WINDOW_TEXTS = 1024
# Longer texts are segmented and encoded in a thread, lest the event loop stand still.
_INLINE_CHARACTERS = 10_000


@dataclass(frozen=True, slots=True)
class _InFlight:
    work: Work
    futures: list[Future[list[Hypothesis]]]

    @property
    def is_done(self) -> bool:
        return all(future.done() for future in self.futures)

    def cancel(self) -> None:
        for future in self.futures:
            future.cancel()


@dataclass(frozen=True)
class Translator:
    """Translates from `source` to `target`. Any thread and any event loop may use it."""

    source: str
    target: str
    model: str
    """Name and version of the bundle."""
    defaults: Decoding
    tokenizer: Tokenizer
    scheduler: Scheduler
    """Shared with the model's other directions."""
    tag: str | None = None
    """The token that opens the source and asks for the target language."""
    calibration: Calibration | None = None
    """How far its sentences can be trusted, if that was measured."""

    async def translate(
        self, text: str, options: TranslationOptions = TranslationOptions()
    ) -> Translation:
        """Translate a text of any length; being cancelled gives up its sentences.

        Raises:
            InvalidRequest: the beam is too wide, or too narrow for the alternatives.
            Overloaded: too much is waiting, or the model is being unloaded.
            DeadlineExceeded: it was not done in time.
            ModelFailure: decoding failed.
        """
        deadline = _deadline(options)
        if len(text) > _INLINE_CHARACTERS:
            work = await asyncio.to_thread(self._prepare, text, options)
        else:
            work = self._prepare(text, options)
        futures = self.scheduler.submit(
            work.sources, work.searches, priority=options.priority, deadline=deadline
        )
        try:
            found = await asyncio.gather(*map(asyncio.wrap_future, futures))
        finally:
            for future in futures:
                future.cancel()  # of those that are done nothing is left to cancel
        return self._compose(work, found, options)

    def translate_all(
        self, texts: Iterable[str], options: TranslationOptions = TranslationOptions()
    ) -> Iterator[Translation]:
        """Yield the translations of many texts in their order, blocking as needed.

        Holds a bounded number of texts. Where `translate` would be refused because too much
        is waiting, this waits; those who wait for one text go first. A deadline is one for all
        of them. Closing the iterator gives up what is in flight.

        Raises:
            InvalidRequest: the beam is too wide, or too narrow for the alternatives.
            Overloaded: the model is being unloaded, or others keep its waiting line full.
            DeadlineExceeded: they were not done in time.
            ModelFailure: decoding failed.
        """
        deadline = _deadline(options)
        in_flight: deque[_InFlight] = deque()
        try:
            for text in texts:
                work = self._prepare(text, options)
                while (begun := self._begin(work, deadline, must_begin=not in_flight)) is None:
                    yield self._finish(in_flight.popleft(), options)
                in_flight.append(begun)
                while in_flight and (in_flight[0].is_done or len(in_flight) == _WINDOW_TEXTS):
                    yield self._finish(in_flight.popleft(), options)
            while in_flight:
                yield self._finish(in_flight.popleft(), options)
        finally:
            for each in in_flight:
                each.cancel()

    def close(self) -> None:
        """Finish what was accepted and stop the model, for its other directions too."""
        self.scheduler.close()

    def _begin(self, work: Work, deadline: float | None, *, must_begin: bool) -> _InFlight | None:
        try:
            futures = self.scheduler.submit(
                work.sources, work.searches, priority="batch", deadline=deadline
            )
        except Overloaded:
            if must_begin:
                raise
            return None
        return _InFlight(work, futures)

    def _finish(self, each: _InFlight, options: TranslationOptions) -> Translation:
        try:
            found = [future.result() for future in each.futures]
        finally:
            each.cancel()
        return self._compose(each.work, found, options)

    def _prepare(self, text: str, options: TranslationOptions) -> Work:
        return Preparer(self.source, self.defaults, self.tokenizer, self.tag).prepare(text, options)

    def _compose(
        self, work: Work, found: Sequence[list[Hypothesis]], options: TranslationOptions
    ) -> Translation:
        composer = Composer(self.tokenizer, self.calibration)
        rendering, *others = composer.compose(work, found, 1 + options.alternatives)
        best = [each[0] for each in found]
        return Translation(
            text=rendering.text,
            source=self.source,
            target=self.target,
            model=self.model,
            score=mean_score(rendering.sentences),
            finish_reason=worst_reason(rendering.sentences),
            alternatives=[other.text for other in others],
            attention=composer.tell_attention(work, best) if options.attention else None,
            confidence=mean_confidence(rendering.sentences),
            sentences=rendering.sentences,
            alignment=rendering.alignment if options.alignment else None,
        )


def _deadline(options: TranslationOptions) -> float | None:
    seconds = options.deadline_seconds
    return None if seconds is None else monotonic() + seconds
