"""Hypotheses become texts again, with what is known of each sentence.

hypotheses -> sentences -> rendering (text and spans), one for each rank -> translation
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.tokenizer import Tokenizer
from service.engine.alignment import TokenizedSentence, align
from service.engine.hypothesis import EOS, FinishReason, Hypothesis
from service.engine.preparation import Work
from service.engine.translation import AlignedSpan, Sentence, SentenceAttention

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


def render(work: Work, hypotheses: Sequence[Hypothesis], tokenizer: Tokenizer) -> Rendering:
    """Put the hypotheses into the places of the text's sentences."""
    if work.is_aligned:
        targets = [_decode(each, tokenizer) for each in hypotheses]
    else:
        targets = [
            TokenizedSentence(tokenizer.decode(each.tokens).strip(), ()) for each in hypotheses
        ]
    texts = [target.text for target in targets]
    source_spans = work.segmentation.spans(work.segmentation.sentences)
    target_spans = work.segmentation.spans(texts)
    spans = zip(source_spans, target_spans, strict=True)
    sentences = tuple(
        Sentence(*both, each.score, None, each.finish_reason)
        for both, each in zip(spans, hypotheses, strict=True)
    )
    alignment: list[AlignedSpan] = []
    if work.is_aligned:
        for i, (hypothesis, target) in enumerate(zip(hypotheses, targets, strict=True)):
            found = _align(work, i, hypothesis, target, tokenizer)
            alignment += (_shift(each, source_spans[i][0], target_spans[i][0]) for each in found)
    return Rendering(work.segmentation.join(texts), sentences, tuple(alignment))


def render_ranks(
    work: Work, found: Sequence[list[Hypothesis]], num_ranks: int, tokenizer: Tokenizer
) -> list[Rendering]:
    """Return the best rendering, then others whose texts differ; the i-th is made of the i-th."""
    renderings = (
        # A sentence with fewer hypotheses than asked for keeps its best.
        render(work, [each[i] if i < len(each) else each[0] for each in found], tokenizer)
        for i in range(num_ranks)
    )
    by_text: dict[str, Rendering] = {}
    for rendering in renderings:
        by_text.setdefault(rendering.text, rendering)
    return list(by_text.values())


def mean_score(hypotheses: Sequence[Hypothesis]) -> float:
    """Return the mean of the scores by target tokens; 0 if there are none."""
    weights = [len(each.tokens) + 1 for each in hypotheses]
    if not weights:
        return 0.0
    pairs = zip(hypotheses, weights, strict=True)
    return sum(each.score * weight for each, weight in pairs) / sum(weights)


def worst_reason(hypotheses: Sequence[Hypothesis]) -> FinishReason:
    """Return how the sentence ended that fared worst."""
    reasons = (each.finish_reason for each in hypotheses)
    return max(reasons, key=_FINISH_REASONS.index, default="eos")


def tell_attention(
    work: Work, hypotheses: Sequence[Hypothesis], tokenizer: Tokenizer
) -> list[SentenceAttention]:
    """Lay the pieces of both sides beside the weights of each sentence."""
    told = []
    for source, hypothesis in zip(work.sources, hypotheses, strict=True):
        assert hypothesis.attention_TS is not None, "attention was asked for"
        end = [EOS] if hypothesis.finish_reason == "eos" else []
        told.append(
            SentenceAttention(
                tokenizer.pieces(source),
                tokenizer.pieces([*hypothesis.tokens, *end]),
                # As doubles, or the digits that were rounded away come back as noise.
                hypothesis.attention_TS.astype(np.float64).round(_WEIGHT_DECIMALS).tolist(),
            )
        )
    return told


def _decode(hypothesis: Hypothesis, tokenizer: Tokenizer) -> TokenizedSentence:
    decoded, spans = tokenizer.decode_with_offsets(hypothesis.tokens)
    text = decoded.strip()
    before = len(decoded) - len(decoded.lstrip())

    def moved(place: int) -> int:
        return min(max(place - before, 0), len(text))

    return TokenizedSentence(text, [(moved(begin), moved(end)) for begin, end in spans])


def _align(
    work: Work, i: int, hypothesis: Hypothesis, target: TokenizedSentence, tokenizer: Tokenizer
) -> list[AlignedSpan]:
    assert hypothesis.attention_TS is not None, "attention was asked for"
    sentence = work.segmentation.sentences[i]
    source = TokenizedSentence(sentence, tokenizer.encode_with_offsets(sentence)[1])
    return align(hypothesis.attention_TS, source, target, work.searches[i].num_tags)


def _shift(each: AlignedSpan, source: int, target: int) -> AlignedSpan:
    return AlignedSpan(
        each.source_begin + source,
        each.source_end + source,
        each.target_begin + target,
        each.target_end + target,
    )
