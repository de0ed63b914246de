"""One model in one direction: text in, text out.

    text -> sentences -> ids -> scheduler -> ids -> sentences -> text

`preparation` leads to the scheduler and `composition` back; here is who asks whom, and when.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property, partial
from time import monotonic
from typing import TypeVar

from models.bundle import Calibration, Decoding
from models.tokenizer import Tokenizer
from service.engine.cache import Cache
from service.engine.composition import Composer, mean_confidence, mean_score, worst_reason
from service.engine.hypothesis import Hypothesis
from service.engine.preparation import Preparer, Work
from service.engine.scheduler import Scheduler
from service.engine.scoring import Scorer
from service.engine.text_counts import TextCounts
from service.engine.translation import FinishedSentence, Score, Translation, TranslationOptions
from service.engine.waiting_line import Priority
from service.errors import Overloaded

T = TypeVar("T")

# Texts that `translate_all` keeps in flight: enough to form groups of like length.
_WINDOW_TEXTS = 1024
# Longer texts are prepared and composed in a thread, lest the event loop stand still.
_INLINE_CHARACTERS = 10_000


_Answers = list[Future[list[Hypothesis]]]


@dataclass(frozen=True, slots=True)
class _InFlight:
    work: Work
    futures: _Answers

    @property
    def is_done(self) -> bool:
        return all(future.done() for future in self.futures)

    def cancel(self) -> None:
        for future in self.futures:
            future.cancel()  # of those that are done nothing is left to cancel


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
    cache: Cache | None = None
    """What the scheduler found before, shared as it is."""

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
        work = await _off_loop(text, self._prepare, text, options)
        begun = self._submit(work, options, options.priority, deadline)
        try:
            found = await asyncio.gather(*map(asyncio.wrap_future, begun.futures))
        finally:
            begun.cancel()
        return await _off_loop(text, self._compose, work, found, options)

    async def stream(
        self, text: str, options: TranslationOptions = TranslationOptions()
    ) -> AsyncGenerator[FinishedSentence | Translation]:
        """Yield each sentence as soon as it is done, whatever their order, and the text at last.

        Closing the generator gives up the other sentences.

        Raises:
            ServiceError: as for `translate`.
        """
        deadline = _deadline(options)
        work = await _off_loop(text, self._prepare, text, options)
        begun = self._submit(work, options, options.priority, deadline)
        finished: asyncio.Queue[int] = asyncio.Queue()
        try:
            answers = [asyncio.wrap_future(future) for future in begun.futures]
            for i, answer in enumerate(answers):
                answer.add_done_callback(partial(_tell, finished, i))
            for _ in answers:
                i = await finished.get()
                yield self._composer.finish(work, i, answers[i].result())
            found = [answer.result() for answer in answers]
        finally:
            begun.cancel()
        yield await _off_loop(text, self._compose, work, found, options)

    async def score(
        self, source: str, target: str, options: TranslationOptions = TranslationOptions()
    ) -> Score:
        """Return what the model thinks of a translation: the log-probability of its tokens.

        Of the options, the length penalty, the priority and the deadline count.

        Raises:
            TextTooLong: the texts have different numbers of sentences, and are too long for one.
            ServiceError: as for `translate`.
        """
        deadline = _deadline(options)
        languages = self.source, self.target
        scorer = Scorer(
            languages, self.model, self.defaults, self.tokenizer, self.tag, self.calibration
        )
        longer = max(source, target, key=len)
        pairs = await _off_loop(longer, scorer.prepare, source, target, options.length_penalty)
        futures = self.scheduler.submit(
            [pair.source for pair in pairs],
            [pair.search for pair in pairs],
            priority=options.priority,
            deadline=deadline,
        )
        try:
            found = await asyncio.gather(*map(asyncio.wrap_future, futures))
        finally:
            for future in futures:
                future.cancel()
        return await _off_loop(longer, scorer.compose, pairs, found)

    def translate_all(
        self, texts: Iterable[str], options: TranslationOptions = TranslationOptions()
    ) -> Generator[Translation]:
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
                while (begun := self._begin(work, options, deadline, bool(in_flight))) is None:
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

    def _begin(
        self, work: Work, options: TranslationOptions, deadline: float | None, may_wait: bool
    ) -> _InFlight | None:
        try:
            return self._submit(work, options, "batch", deadline)
        except Overloaded:
            if not may_wait:
                raise
            return None

    def _submit(
        self,
        work: Work,
        options: TranslationOptions,
        priority: Priority,
        deadline: float | None,
    ) -> _InFlight:
        decoder = self.cache if self.cache is not None and options.use_cache else self.scheduler
        futures = decoder.submit(work.sources, work.searches, priority=priority, deadline=deadline)
        return _InFlight(work, futures)

    def _finish(self, each: _InFlight, options: TranslationOptions) -> Translation:
        try:
            found = [future.result() for future in each.futures]
        finally:
            each.cancel()
        return self._compose(each.work, found, options)

    def _prepare(self, text: str, options: TranslationOptions) -> Work:
        began = monotonic()
        preparer = Preparer(self.source, self.defaults, self.tokenizer, self.tag)
        work = preparer.prepare(text, options)
        self._counts.note_prepared(work, began)
        return work

    @cached_property
    def _counts(self) -> TextCounts:
        return TextCounts(self.model)

    @property
    def _composer(self) -> Composer:
        return Composer(self.tokenizer, self.calibration)

    def _compose(
        self, work: Work, found: Sequence[list[Hypothesis]], options: TranslationOptions
    ) -> Translation:
        began = monotonic()
        rendering, *others = self._composer.compose(work, found, 1 + options.alternatives)
        self._counts.note_composed(work, rendering, began)
        best = [each[0] for each in found]
        return Translation(
            text=rendering.text,
            source=self.source,
            target=self.target,
            model=self.model,
            score=mean_score(rendering.sentences),
            finish_reason=worst_reason(rendering.sentences),
            alternatives=[other.text for other in others],
            attention=self._composer.tell_attention(work, best) if options.attention else None,
            confidence=mean_confidence(rendering.sentences),
            sentences=rendering.sentences,
            alignment=rendering.alignment if options.alignment else None,
            lost=rendering.lost,
            terms=rendering.terms,
        )


def _deadline(options: TranslationOptions) -> float | None:
    seconds = options.deadline_seconds
    return None if seconds is None else monotonic() + seconds


def _tell(finished: "asyncio.Queue[int]", i: int, _: object) -> None:
    finished.put_nowait(i)


async def _off_loop(text: str, work: Callable[..., T], *arguments: object) -> T:
    """Call `work`, in a thread if the text that it works on is long."""
    if len(text) > _INLINE_CHARACTERS:
        return await asyncio.to_thread(work, *arguments)
    return work(*arguments)
