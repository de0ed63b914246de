"""Hypotheses become texts again, with what is known of each sentence.

    hypotheses -> sentences -> renderings: the best one, and others that differ

A rendering is a whole text, made of one hypothesis for each sentence.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from models.bundle import Calibration
from models.tokenizer import Tokenizer
from service.engine.alignment import TokenizedSentence, align, share
from service.engine.hypothesis import EOS, FinishReason, Hypothesis
from service.engine.preparation import Work
from service.engine.restoration import Restored, restore
from service.engine.terms import Term, used_terms
from service.engine.translation import (
    AlignedSpan,
    FinishedSentence,
    Sentence,
    SentenceAttention,
    TermUse,
)
from service.record import current_record

# The worst comes last.
_FINISH_REASONS: tuple[FinishReason, ...] = ("eos", "length", "repetition")
_WEIGHT_DECIMALS = 4


@dataclass(frozen=True, slots=True)
class Rendering:
    """A text made of one hypothesis for each sentence."""

    text: str
    sentences: tuple[Sentence, ...]
    alignment: tuple[AlignedSpan, ...]
    """Empty if the work needs none."""
    lost: tuple[str, ...]
    terms: tuple[TermUse, ...]


@dataclass(frozen=True, slots=True)
class _Spoken:
    """A hypothesis as text."""

    hypothesis: Hypothesis
    target: TokenizedSentence

    @property
    def text(self) -> str:
        return self.target.text


@dataclass(frozen=True, slots=True)
class Composer:
    """Composes texts in one direction of a model."""

    tokenizer: Tokenizer
    calibration: Calibration | None

    def compose(
        self, work: Work, found: Sequence[list[Hypothesis]], num_renderings: int
    ) -> list[Rendering]:
        """Return at most so many renderings, the best first.

        The i-th is made of every sentence's i-th hypothesis among those that differ in a letter or
        a digit; a sentence with fewer keeps its best.
        """
        began = monotonic()
        spoken = [self._speak_apart(each, num_renderings) for each in found]
        spoke = monotonic()
        ranks = range(max(map(len, spoken), default=1))
        renderings = [
            self._render(work, [each[rank] if rank < len(each) else each[0] for each in spoken])
            for rank in ranks
        ]
        if record := current_record():
            record.note_stage("detokenise", began, spoke)
            record.note_stage("restore", spoke, monotonic())
        return renderings

    def finish(self, work: Work, i: int, hypotheses: Sequence[Hypothesis]) -> FinishedSentence:
        """Return one sentence by itself."""
        [spoken] = self._speak_apart(hypotheses, 1)
        sentence = self._describe(spoken.hypothesis, (0, 0), (0, 0))
        return FinishedSentence(
            i,
            len(work.sources),
            work.layout.sentences[i].span,
            self._restore(work, i, spoken).text,
            sentence.score,
            sentence.confidence,
            sentence.finish_reason,
        )

    def tell_attention(
        self, work: Work, hypotheses: Sequence[Hypothesis]
    ) -> list[SentenceAttention]:
        """Lay the pieces of both sides beside the weights of each sentence."""
        told = []
        for source, hypothesis in zip(work.sources, hypotheses, strict=True):
            assert hypothesis.attention_TS is not None, "attention was asked for"
            end = [EOS] if hypothesis.finish_reason == "eos" else []
            told.append(
                SentenceAttention(
                    self.tokenizer.pieces(source),
                    self.tokenizer.pieces([*hypothesis.tokens, *end]),
                    # As doubles, or the digits that were rounded away come back as noise.
                    hypothesis.attention_TS.astype(np.float64).round(_WEIGHT_DECIMALS).tolist(),
                )
            )
        return told

    def _speak_apart(self, hypotheses: Sequence[Hypothesis], most: int) -> list[_Spoken]:
        """Return the texts of the best hypotheses that differ from each other."""
        by_letters: dict[str, _Spoken] = {}
        for hypothesis in hypotheses:
            if len(by_letters) == most:
                break
            spoken = _Spoken(hypothesis, self._speak(hypothesis))
            by_letters.setdefault(_letters(spoken.text), spoken)
        return list(by_letters.values())

    def _speak(self, hypothesis: Hypothesis) -> TokenizedSentence:
        if hypothesis.attention_TS is None:  # nobody will ask where its tokens stand
            return TokenizedSentence(self.tokenizer.decode(hypothesis.tokens).strip(), ())
        decoded, spans = self.tokenizer.decode_with_offsets(hypothesis.tokens)
        text = decoded.strip()
        before = len(decoded) - len(decoded.lstrip())

        def moved(place: int) -> int:
            return min(max(place - before, 0), len(text))

        return TokenizedSentence(text, [(moved(begin), moved(end)) for begin, end in spans])

    def _render(self, work: Work, spoken: Sequence[_Spoken]) -> Rendering:
        restored = [self._restore(work, i, each) for i, each in enumerate(spoken)]
        texts = [each.text for each in restored]
        target_spans = work.layout.spans(texts)
        sentences = tuple(
            self._describe(each.hypothesis, masked.span, target_span)
            for each, masked, target_span in zip(
                spoken, work.layout.sentences, target_spans, strict=True
            )
        )
        alignment: list[AlignedSpan] = []
        if work.is_aligned:
            for i, (target_begin, _) in enumerate(target_spans):
                source_span, span = work.layout.sentences[i].source_span, restored[i].span
                for each in self._align(work, i, spoken[i]):
                    source = source_span(each.source_begin, each.source_end)
                    begin, end = span(each.target_begin, each.target_end)
                    alignment.append(AlignedSpan(*source, target_begin + begin, target_begin + end))
        lost = tuple(text for each in restored for text in each.lost)
        uses = map(_tell_use, work.terms, (each.text for each in spoken))
        terms = tuple(chain.from_iterable(uses))
        return Rendering(work.layout.join(texts), sentences, tuple(alignment), lost, terms)

    def _restore(self, work: Work, i: int, spoken: _Spoken) -> Restored:
        sentence = work.layout.sentences[i]
        if not sentence.needs_attention:
            return restore(sentence, spoken.text, None)
        attention = self._attention(work, i, spoken)
        return restore(sentence, spoken.text, share(*attention, work.searches[i].num_tags))

    def _describe(
        self, hypothesis: Hypothesis, source_span: tuple[int, int], target_span: tuple[int, int]
    ) -> Sentence:
        log_probability, num_tokens = hypothesis.log_probability, max(1, hypothesis.num_tokens)
        confidence = None
        if self.calibration is not None:
            confidence = self.calibration.confidence(log_probability, num_tokens)
        return Sentence(
            source_span,
            target_span,
            hypothesis.score,
            confidence,
            hypothesis.finish_reason,
            log_probability,
            num_tokens,
        )

    def _align(self, work: Work, i: int, spoken: _Spoken) -> list[AlignedSpan]:
        return align(*self._attention(work, i, spoken), work.searches[i].num_tags)

    def _attention(
        self, work: Work, i: int, spoken: _Spoken
    ) -> tuple[NDArray[np.float32], TokenizedSentence, TokenizedSentence]:
        attention_TS = spoken.hypothesis.attention_TS
        assert attention_TS is not None, "attention was asked for"
        text = work.layout.sentences[i].text
        source = TokenizedSentence(text, self.tokenizer.encode_with_offsets(text)[1])
        return attention_TS, source, spoken.target


def _tell_use(terms: Sequence[Term], translation: str) -> Iterator[TermUse]:
    for term, is_used in zip(terms, used_terms(terms, translation), strict=True):
        yield TermUse(term.source, term.target, is_used)


def mean_score(sentences: Sequence[Sentence]) -> float:
    """Return the mean of the scores by target tokens; 0 if there are none."""
    return weighted_mean((each.score, each.num_tokens) for each in sentences) or 0.0


def mean_confidence(sentences: Sequence[Sentence]) -> float | None:
    """Return the mean of the confidences by target tokens; None if there are none."""
    return weighted_mean(
        (each.confidence, each.num_tokens) for each in sentences if each.confidence is not None
    )


def worst_reason(sentences: Sequence[Sentence]) -> FinishReason:
    """Return how the sentence ended that fared worst."""
    reasons = (each.finish_reason for each in sentences)
    return max(reasons, key=_FINISH_REASONS.index, default="eos")


def weighted_mean(weighted: Iterable[tuple[float, int]]) -> float | None:
    """Return the mean of values by their weights; None if there are none."""
    pairs = list(weighted)
    total = sum(weight for _, weight in pairs)
    return sum(value * weight for value, weight in pairs) / total if total else None


def _letters(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())
