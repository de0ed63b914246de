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
from dataclasses import dataclass, replace
from time import monotonic
from typing import Self

import numpy as np

from models.bundle import Decoding
from models.tokenizer import Tokenizer
from service.engine.hypothesis import EOS, FinishReason, Hypothesis, SearchOptions
from service.engine.scheduler import Scheduler
from service.engine.segmenter import Segmentation, segment
from service.engine.waiting_line import Priority
from service.errors import InvalidRequest, Overloaded

# Texts that `translate_all` keeps in flight: enough to form groups of like length.
_WINDOW_TEXTS = 1024
# Longer texts are segmented and encoded in a thread, lest the event loop stand still.
_INLINE_CHARACTERS = 10_000
# No piece of a vocabulary is longer, so longer sentences need not be encoded to be too long.
_CHARACTERS_PER_TOKEN = 16
# The worst comes last.
_FINISH_REASONS: tuple[FinishReason, ...] = ("eos", "length", "repetition")
_WEIGHT_DECIMALS = 4


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
    no_repeat_ngram: int = 0
    """No n-gram of so many target tokens occurs twice in a sentence; 0 turns it off."""
    coverage_penalty: float = 0.0
    """Weight of the penalty for source tokens that got little attention; 0 turns it off."""
    split_sentences: bool = True
    """Whether sentences are found within a line, or every line that is not too long is one."""
    attention: bool = False
    """Whether the translation tells what it attended to."""
    priority: Priority = "interactive"
    """Who goes first; what `translate_all` asks for is always `batch`."""
    deadline_seconds: float | None = None
    """After which nobody waits any more, counted from the call; at least 0."""


@dataclass(frozen=True, slots=True)
class SentenceAttention:
    """What each target token of a sentence attended to."""

    source_tokens: list[str]
    """Pieces of the vocabulary; the target tag, if there is one, and EOS included."""
    target_tokens: list[str]
    """Those of the best hypothesis; EOS included unless the sentence was cut off."""
    weights: list[list[float]]
    """A row for each target token, with a number for each source token; rows sum to 1."""


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
    """Of the sentence that fared worst: `length` is worse than `eos`, `repetition` than both."""
    alternatives: list[str]
    """Other translations, best first; the i-th is made of every sentence's i-th hypothesis."""
    attention: list[SentenceAttention] | None = None
    """One for each sentence that was decoded, if asked for."""

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
    work: _Work
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
            DeadlineExceeded: it was not done in time.
            ModelFailure: decoding failed.
        """
        deadline = _deadline(options)
        if len(text) > _INLINE_CHARACTERS:
            work = await asyncio.to_thread(self._prepare, text, options)
        else:
            work = self._prepare(text, options)
        futures = self.scheduler.submit(
            work.sources, work.options, priority=options.priority, deadline=deadline
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

    def _begin(self, work: _Work, deadline: float | None, *, must_begin: bool) -> _InFlight | None:
        try:
            futures = self.scheduler.submit(
                work.sources, work.options, priority="batch", deadline=deadline
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

    def _prepare(self, text: str, options: TranslationOptions) -> _Work:
        search = self._search_options(options)
        segmentation, ids = self._encode(text, whole_lines=not options.split_sentences)
        prefix = [] if self.tag is None else [self.tokenizer.tag_id(self.tag)]
        return _Work(
            segmentation,
            [[*prefix, *each, EOS] for each in ids],
            [
                replace(
                    search,
                    max_tokens=options.max_tokens or self._default_max_tokens(len(each)),
                    num_tags=len(prefix),
                )
                for each in ids
            ],
        )

    def _search_options(self, options: TranslationOptions) -> SearchOptions:
        beam, penalty = options.beam, options.length_penalty
        if beam is None:
            beam = max(self.defaults.beam, options.alternatives + 1)
        if options.alternatives >= beam:
            message = f"{options.alternatives} alternatives need a wider beam than {beam}"
            raise InvalidRequest(message, field="alternatives", limit=beam - 1)
        return SearchOptions(
            width=beam,
            length_penalty=self.defaults.length_penalty if penalty is None else penalty,
            num_best=options.alternatives + 1,
            no_repeat_ngram=options.no_repeat_ngram,
            case_ids=self.tokenizer.case_ids,
            coverage_penalty=options.coverage_penalty,
            with_attention=options.attention,
        )

    def _encode(self, text: str, *, whole_lines: bool) -> tuple[Segmentation, list[list[int]]]:
        limit = self.defaults.max_source_tokens
        ids_by_sentence: dict[str, list[int]] = {}

        def fits(sentence: str) -> bool:
            if len(sentence) > limit * _CHARACTERS_PER_TOKEN:
                return False
            ids = ids_by_sentence[sentence] = self.tokenizer.encode(sentence)
            return len(ids) <= limit

        segmentation = segment(text, self.source, fits, whole_lines=whole_lines)
        # A single character is never asked for, and may take more tokens than are allowed.
        for sentence in segmentation.sentences:
            if sentence not in ids_by_sentence:
                ids_by_sentence[sentence] = self.tokenizer.encode(sentence)
        return segmentation, [ids_by_sentence[each] for each in segmentation.sentences]

    def _default_max_tokens(self, num_source_tokens: int) -> int:
        factor, extra = self.defaults.max_target_factor, self.defaults.max_target_extra
        return math.ceil(factor * num_source_tokens) + extra

    def _compose(
        self, work: _Work, found: Sequence[list[Hypothesis]], options: TranslationOptions
    ) -> Translation:
        texts = [
            # A sentence with fewer hypotheses than asked for keeps its best.
            self._render(
                work.segmentation, [each[i] if i < len(each) else each[0] for each in found]
            )
            for i in range(1 + options.alternatives)
        ]
        text, *alternatives = dict.fromkeys(texts)
        best = [each[0] for each in found]
        reasons = [each.finish_reason for each in best]
        return Translation(
            text=text,
            source=self.source,
            target=self.target,
            model=self.model,
            score=_mean_score(best),
            finish_reason=max(reasons, key=_FINISH_REASONS.index, default="eos"),
            alternatives=alternatives,
            attention=self._align(work.sources, best) if options.attention else None,
        )

    def _align(
        self, sources: Sequence[Sequence[int]], hypotheses: Sequence[Hypothesis]
    ) -> list[SentenceAttention]:
        aligned = []
        for source, hypothesis in zip(sources, hypotheses, strict=True):
            assert hypothesis.attention_TS is not None, "attention was asked for"
            end = [EOS] if hypothesis.finish_reason == "eos" else []
            aligned.append(
                SentenceAttention(
                    self.tokenizer.pieces(source),
                    self.tokenizer.pieces([*hypothesis.tokens, *end]),
                    # As doubles, or the digits that were rounded away come back as noise.
                    hypothesis.attention_TS.astype(np.float64).round(_WEIGHT_DECIMALS).tolist(),
                )
            )
        return aligned

    def _render(self, segmentation: Segmentation, hypotheses: Sequence[Hypothesis]) -> str:
        decoded = (self.tokenizer.decode(each.tokens).strip() for each in hypotheses)
        return segmentation.join(list(decoded))


def _deadline(options: TranslationOptions) -> float | None:
    seconds = options.deadline_seconds
    return None if seconds is None else monotonic() + seconds


def _mean_score(hypotheses: Sequence[Hypothesis]) -> float:
    weights = [len(each.tokens) + 1 for each in hypotheses]
    if not weights:
        return 0.0
    pairs = zip(hypotheses, weights, strict=True)
    return sum(each.score * weight for each, weight in pairs) / sum(weights)
