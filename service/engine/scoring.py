"""What a model thinks of a translation that it is given: its tokens are forced one by one.

    source, translation -> pairs of sentences -> ids -> scheduler -> log-probabilities

Sentences are paired in their order. Where the two texts have different numbers of them nobody
knows which belong together, and the texts are one pair.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from models.bundle import Calibration, Decoding
from models.normalisation import Span
from models.tokenizer import Tokenizer
from service.engine.composition import weighted_mean
from service.engine.hypothesis import EOS, Hypothesis, SearchOptions
from service.engine.segmenter import segment
from service.engine.translation import Score, SentenceScore, TokenScore
from service.errors import TextTooLong


@dataclass(frozen=True, slots=True)
class Pair:
    """A sentence and its translation, ready to be scored."""

    source_span: Span
    target_span: Span
    source: list[int]
    """Tag, if there is one, tokens and EOS."""
    search: SearchOptions
    token_spans: list[Span]
    """Of the translation's tokens, in the whole translation; EOS included."""


@dataclass(frozen=True, slots=True)
class Scorer:
    """Scores translations in one direction of a model."""

    languages: tuple[str, str]
    """Source and target."""
    model: str
    defaults: Decoding
    tokenizer: Tokenizer
    tag: str | None
    calibration: Calibration | None

    def prepare(self, source: str, target: str, length_penalty: float | None) -> list[Pair]:
        """Return the pairs of sentences of a text and its translation.

        Raises:
            TextTooLong: the texts have different numbers of sentences, and are too long for one.
        """
        most = self.defaults.max_source_tokens
        factor, extra = self.defaults.max_target_factor, self.defaults.max_target_extra
        limits = (most, math.ceil(factor * most) + extra)
        texts = (source, target)
        spans = [self._sentences(*each) for each in zip(texts, self.languages, limits, strict=True)]
        if len(spans[0]) != len(spans[1]) or not spans[0]:
            spans = [[_stripped(text)] for text in texts]
            for name, text, limit in zip(("source", "target"), texts, limits, strict=True):
                self._check(name, text, limit)
        penalty = self.defaults.length_penalty if length_penalty is None else length_penalty
        return [self._pair(texts, both, penalty) for both in zip(*spans, strict=True)]

    def compose(self, pairs: Sequence[Pair], found: Sequence[Sequence[Hypothesis]]) -> Score:
        """Return the score of a translation from what was found of its pairs."""
        sentences = tuple(
            self._describe(pair, hypothesis)
            for pair, [hypothesis] in zip(pairs, found, strict=True)
        )
        weighted = [(each, len(each.tokens)) for each in sentences]
        trusted = [(each.confidence, n) for each, n in weighted if each.confidence is not None]
        return Score(
            *self.languages,
            model=self.model,
            log_probability=sum(each.log_probability for each in sentences),
            num_tokens=sum(n for _, n in weighted),
            score=weighted_mean((each.score, n) for each, n in weighted) or 0.0,
            confidence=weighted_mean(trusted),
            sentences=sentences,
        )

    def _sentences(self, text: str, language: str, limit: int) -> list[Span]:
        found = segment(text, language, lambda each: len(self.tokenizer.encode(each)) <= limit)
        return found.spans(found.sentences)

    def _check(self, name: str, text: str, limit: int) -> None:
        count = len(self.tokenizer.encode(text))
        if count > limit:
            message = f"{name}: {count} tokens in one sentence exceed {limit}"
            raise TextTooLong(message, field=name, limit=limit)

    def _pair(self, texts: tuple[str, str], spans: tuple[Span, ...], penalty: float) -> Pair:
        (begin, end), target_span = spans
        prefix = [] if self.tag is None else [self.tokenizer.tag_id(self.tag)]
        source = self.tokenizer.encode(texts[0][begin:end])
        ids, placed = self.tokenizer.encode_with_offsets(texts[1][slice(*target_span)])
        first, last = target_span
        return Pair(
            (begin, end),
            target_span,
            [*prefix, *source, EOS],
            SearchOptions(length_penalty=penalty, num_tags=len(prefix), forced=tuple(ids)),
            [*((first + b, first + e) for b, e in placed), (last, last)],
        )

    def _describe(self, pair: Pair, hypothesis: Hypothesis) -> SentenceScore:
        assert hypothesis.token_scores is not None, "they come with what is forced"
        scored = zip(pair.token_spans, hypothesis.token_scores, strict=True)
        total, count = hypothesis.log_probability, len(pair.token_spans)
        confidence = None
        if self.calibration is not None:
            confidence = self.calibration.confidence(total, count)
        return SentenceScore(
            pair.source_span,
            pair.target_span,
            hypothesis.score,
            total,
            confidence,
            tuple(TokenScore(*span, score) for span, score in scored),
        )


def _stripped(text: str) -> Span:
    begin = len(text) - len(text.lstrip())
    return begin, begin + len(text.strip())
