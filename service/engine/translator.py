"""One model in one direction: text in, text out.

    text -> sentences -> ids -> scheduler -> ids -> sentences -> text

Normalisation is the tokenizer's and searching the scheduler's; here texts become sentences
and sentences become texts again.
"""

import asyncio
import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Self

from models.bundle import Decoding
from models.tokenizer import Tokenizer
from service.engine.scheduler import Scheduler
from service.engine.search import EOS, FinishReason, Hypothesis, SearchOptions
from service.engine.segmenter import Segmentation, segment
from service.errors import InvalidRequest, Overloaded

# Texts that `translate_all` keeps in flight: enough to form groups of like length.
_WINDOW_TEXTS = 1024
# Longer texts are segmented and encoded in a thread, lest the event loop stand still.
_INLINE_CHARACTERS = 10_000
# No piece of a vocabulary is longer, so longer sentences need not be encoded to be too long.
_CHARACTERS_PER_TOKEN = 16


@dataclass(frozen=True, slots=True)
class TranslationOptions:
    """What the caller may choose; what is None is the bundle's own choice."""

    beam: int | None = None
    """Width of the beam; 1 is greedy search."""
    length_penalty: float | None = None
    """Exponent of the length normalisation."""
    alternatives: int = 0
    """Further translations wanted; fewer may come."""
    max_tokens: int | None = None
    """Target tokens of a sentence, EOS included."""


@dataclass(frozen=True, slots=True)
class Translation:
    """A translated text and where it came from."""

    text: str
    source: str
    target: str
    model: str
    """Name and version of the bundle."""
    score: float
    """Length-normalised log-probability, the mean of the sentences' by their target tokens."""
    finish_reason: FinishReason
    """`length` if any sentence was cut off."""
    alternatives: list[str]
    """Other translations, best first; the i-th is made of every sentence's i-th hypothesis."""

    @classmethod
    def unchanged(cls, text: str, language: str) -> Self:
        """Return a text that is in the target language already, as it is, from no model."""
        return cls(text, language, language, "", 0.0, "eos", [])


@dataclass(frozen=True, slots=True)
class _Work:
    segmentation: Segmentation
    sources: list[list[int]]
    options: list[SearchOptions]


@dataclass(frozen=True, slots=True)
class _InFlight:
    segmentation: Segmentation
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

    async def translate(
        self, text: str, options: TranslationOptions = TranslationOptions()
    ) -> Translation:
        """Translate a text of any length; being cancelled gives up its sentences.

        Raises:
            InvalidRequest: the beam is too wide, or too narrow for the alternatives.
            Overloaded: too much is waiting, or the model is being unloaded.
            ModelFailure: decoding failed.
        """
        if len(text) > _INLINE_CHARACTERS:
            work = await asyncio.to_thread(self._prepare, text, options)
        else:
            work = self._prepare(text, options)
        futures = self.scheduler.submit(work.sources, work.options)
        try:
            found = await asyncio.gather(*map(asyncio.wrap_future, futures))
        finally:
            for future in futures:
                future.cancel()  # of those that are done nothing is left to cancel
        return self._compose(work.segmentation, found, options)

    def translate_all(
        self, texts: Iterable[str], options: TranslationOptions = TranslationOptions()
    ) -> Iterator[Translation]:
        """Yield the translations of many texts in their order, blocking as needed.

        Holds a bounded number of texts. Where `translate` would be refused because too much
        is waiting, this waits. Closing the iterator gives up what is in flight.

        Raises:
            InvalidRequest: the beam is too wide, or too narrow for the alternatives.
            Overloaded: the model is being unloaded, or others keep its waiting line full.
            ModelFailure: decoding failed.
        """
        in_flight: deque[_InFlight] = deque()
        try:
            for text in texts:
                work = self._prepare(text, options)
                while (begun := self._begin(work, is_last_resort=not in_flight)) is None:
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

    def _begin(self, work: _Work, *, is_last_resort: bool) -> _InFlight | None:
        try:
            futures = self.scheduler.submit(work.sources, work.options)
        except Overloaded:
            if is_last_resort:
                raise
            return None
        return _InFlight(work.segmentation, futures)

    def _finish(self, each: _InFlight, options: TranslationOptions) -> Translation:
        try:
            found = [future.result() for future in each.futures]
        finally:
            each.cancel()
        return self._compose(each.segmentation, found, options)

    def _prepare(self, text: str, options: TranslationOptions) -> _Work:
        beam, penalty = options.beam, options.length_penalty
        if beam is None:
            beam = max(self.defaults.beam, options.alternatives + 1)
        if options.alternatives >= beam:
            message = f"{options.alternatives} alternatives need a wider beam than {beam}"
            raise InvalidRequest(message, field="alternatives", limit=beam - 1)
        penalty = self.defaults.length_penalty if penalty is None else penalty
        segmentation, ids = self._encode(text)
        prefix = [] if self.tag is None else [self.tokenizer.tag_id(self.tag)]
        return _Work(
            segmentation,
            [[*prefix, *each, EOS] for each in ids],
            [
                SearchOptions(
                    beam,
                    penalty,
                    options.max_tokens or self._default_max_tokens(len(each)),
                    options.alternatives + 1,
                )
                for each in ids
            ],
        )

    def _encode(self, text: str) -> tuple[Segmentation, list[list[int]]]:
        limit = self.defaults.max_source_tokens
        ids_by_sentence: dict[str, list[int]] = {}

        def fits(sentence: str) -> bool:
            if len(sentence) > limit * _CHARACTERS_PER_TOKEN:
                return False
            ids = ids_by_sentence[sentence] = self.tokenizer.encode(sentence)
            return len(ids) <= limit

        segmentation = segment(text, self.source, fits)
        # A single character is never asked for, and may take more tokens than are allowed.
        for sentence in segmentation.sentences:
            if sentence not in ids_by_sentence:
                ids_by_sentence[sentence] = self.tokenizer.encode(sentence)
        return segmentation, [ids_by_sentence[each] for each in segmentation.sentences]

    def _default_max_tokens(self, num_source_tokens: int) -> int:
        factor, extra = self.defaults.max_target_factor, self.defaults.max_target_extra
        return math.ceil(factor * num_source_tokens) + extra

    def _compose(
        self,
        segmentation: Segmentation,
        found: Sequence[list[Hypothesis]],
        options: TranslationOptions,
    ) -> Translation:
        texts = [
            # A sentence with fewer hypotheses than asked for keeps its best.
            self._render(segmentation, [each[i] if i < len(each) else each[0] for each in found])
            for i in range(1 + options.alternatives)
        ]
        text, *alternatives = dict.fromkeys(texts)
        best = [each[0] for each in found]
        is_cut = any(each.finish_reason == "length" for each in best)
        return Translation(
            text=text,
            source=self.source,
            target=self.target,
            model=self.model,
            score=_mean_score(best),
            finish_reason="length" if is_cut else "eos",
            alternatives=alternatives,
        )

    def _render(self, segmentation: Segmentation, hypotheses: Sequence[Hypothesis]) -> str:
        decoded = (self.tokenizer.decode(each.tokens).strip() for each in hypotheses)
        return segmentation.join(list(decoded))


def _mean_score(hypotheses: Sequence[Hypothesis]) -> float:
    weights = [len(each.tokens) + 1 for each in hypotheses]
    if not weights:
        return 0.0
    pairs = zip(hypotheses, weights, strict=True)
    return sum(each.score * weight for each, weight in pairs) / sum(weights)
