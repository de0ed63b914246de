"""Two models in a row, where none translates directly: through a language that both know.

    text -> first model -> text in the third language -> second model -> text

It does what a translator does. What one model says of the other's mistakes nobody knows, so there
is no confidence, and no attention; sentences and words are followed through the text between.
"""

from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from time import monotonic

from models.bundle import Decoding
from service.engine.composition import mean_score, worst_reason
from service.engine.translation import (
    AlignedSpan,
    FinishedSentence,
    Score,
    Sentence,
    Translation,
    TranslationOptions,
)
from service.engine.translator import Translator
from service.errors import InvalidRequest, UnsupportedPair


@dataclass(frozen=True)
class PivotTranslator:
    """Translates by two translators, the second of which reads what the first writes."""

    first: Translator
    second: Translator

    @property
    def source(self) -> str:
        """Language it reads."""
        return self.first.source

    @property
    def target(self) -> str:
        """Language it writes."""
        return self.second.target

    @property
    def pivot(self) -> str:
        """Language in between."""
        return self.second.source

    @property
    def model(self) -> str:
        """Name and version of both bundles, or of the one."""
        return "+".join(dict.fromkeys([self.first.model, self.second.model]))

    @property
    def defaults(self) -> Decoding:
        """How the last model searches when the caller does not say."""
        return self.second.defaults

    async def translate(
        self, text: str, options: TranslationOptions = TranslationOptions()
    ) -> Translation:
        """Translate a text as `Translator.translate` does; both models share the deadline.

        Raises:
            InvalidRequest: terms are asked for, which nobody would find in the text between.
            ServiceError: as for `Translator.translate`.
        """
        began = monotonic()
        first, second = _halves(options)
        half = await self.first.translate(text, first)
        if second.deadline_seconds is not None:
            left = max(0.0, second.deadline_seconds - (monotonic() - began))
            second = replace(second, deadline_seconds=left)
        return self._join(half, await self.second.translate(half.text, second))

    async def stream(
        self, text: str, options: TranslationOptions = TranslationOptions()
    ) -> AsyncGenerator[FinishedSentence | Translation]:
        """Yield the text when it is done: its sentences are not known before.

        Raises:
            ServiceError: as for `translate`.
        """
        yield await self.translate(text, options)

    async def score(
        self,
        source: str,
        target: str,
        options: TranslationOptions = TranslationOptions(),
    ) -> Score:
        """Refuse: the text between is not known, and all that it might be cannot be summed up.

        Raises:
            UnsupportedPair: always.
        """
        message = f"{self.source}-{self.target} has no model of its own, which scores need"
        raise UnsupportedPair(message, field="target")

    def translate_all(
        self, texts: Iterable[str], options: TranslationOptions = TranslationOptions()
    ) -> Iterator[Translation]:
        """Yield the translations of many texts as `Translator.translate_all` does.

        Raises:
            ServiceError: as for `translate`.
        """
        first, second = _halves(options)
        halves: deque[Translation] = deque()
        done = self.first.translate_all(texts, first)

        def between() -> Iterator[str]:
            for half in done:
                halves.append(half)
                yield half.text

        with closing(done):
            found = self.second.translate_all(between(), second)
            with closing(found):
                for whole in found:
                    yield self._join(halves.popleft(), whole)

    def close(self) -> None:
        """Finish what was accepted and stop both models."""
        self.first.close()
        self.second.close()

    def _join(self, half: Translation, whole: Translation) -> Translation:
        sentences = _join_sentences(half.sentences, whole.sentences)
        alignment = None
        if half.alignment is not None and whole.alignment is not None:
            alignment = _join_alignments(half.alignment, whole.alignment)
        return replace(
            whole,
            source=self.source,
            target=self.target,
            model=self.model,
            score=half.score + whole.score,
            finish_reason=worst_reason([*half.sentences, *whole.sentences]),
            confidence=None,
            sentences=sentences,
            alignment=alignment,
            lost=tuple(dict.fromkeys([*half.lost, *whole.lost])),
            pivot=self.pivot,
        )


def _halves(options: TranslationOptions) -> tuple[TranslationOptions, TranslationOptions]:
    """Return what the first and the second model are asked for."""
    if options.terms:
        message = "terms: not served where a text goes through a third language"
        raise InvalidRequest(message, field="terms")
    second = replace(options, attention=False)
    return replace(second, alternatives=0), second


def _join_sentences(first: Sequence[Sentence], second: Sequence[Sentence]) -> tuple[Sentence, ...]:
    """Return sentences that reach from source to target.

    Where the second model split the text between at other places than the first, what hangs
    together is one.
    """
    joined: list[Sentence] = []
    halves, wholes = deque(first), deque(second)
    while halves and wholes:
        mine, theirs = [halves.popleft()], [wholes.popleft()]
        while True:
            end = max(mine[-1].target_span[1], theirs[-1].source_span[1])
            if halves and halves[0].target_span[0] < end:
                mine.append(halves.popleft())
            elif wholes and wholes[0].source_span[0] < end:
                theirs.append(wholes.popleft())
            else:
                break
        joined.append(_one(mine, theirs))
    return tuple(joined)


def _one(mine: Sequence[Sentence], theirs: Sequence[Sentence]) -> Sentence:
    return Sentence(
        source_span=(mine[0].source_span[0], mine[-1].source_span[1]),
        target_span=(theirs[0].target_span[0], theirs[-1].target_span[1]),
        score=mean_score(mine) + mean_score(theirs),
        confidence=None,
        finish_reason=worst_reason([*mine, *theirs]),
        log_probability=sum(each.log_probability for each in [*mine, *theirs]),
        num_tokens=sum(each.num_tokens for each in theirs),
    )


def _join_alignments(
    first: Sequence[AlignedSpan], second: Sequence[AlignedSpan]
) -> tuple[AlignedSpan, ...]:
    """Return which words stand for each other by way of a word between."""
    joined = {
        AlignedSpan(mine.source_begin, mine.source_end, theirs.target_begin, theirs.target_end): 0
        for theirs in second
        for mine in first
        if mine.target_begin < theirs.source_end and theirs.source_begin < mine.target_end
    }
    return tuple(joined)
