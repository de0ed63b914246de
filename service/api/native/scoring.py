"""`POST /v1/score`: how likely a model holds a translation that it is given."""

from typing import Self

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from service.api.dependencies import (
    Limits,
    Models,
    ModelsAtWork,
    RequestLimits,
    TranslatingCaller,
    unless_gone,
)
from service.api.dialect import dialect
from service.api.failure import FAILURES, FailureBody, render
from service.api.native.inputs import AUTO, Texts
from service.api.native.items import characters_of_failures, items
from service.api.native.options import Common, check_common
from service.api.native.results import CONFIDENCE, Span
from service.api.texts import attempt_each, check_length, check_totals, detect_texts
from service.engine import Score, TokenScore, TranslationOptions
from service.errors import InvalidRequest, ServiceError
from service.record import current_record

router = APIRouter(prefix="/v1", tags=["scoring"], route_class=dialect(render), responses=FAILURES)

LOG_PROBABILITY = "Natural logarithm of the probability of all tokens together."
SCORE = "Length-normalised log-probability, as that of a translation."


class ScoreRequest(Common):
    """Texts with translations of them."""

    text: Texts
    translation: Texts = Field(description="As many as there are texts.")
    tokens: bool = Field(False, description="Whether to tell what each token adds.")


class TokenBody(BaseModel):
    """A token of the translation."""

    span: Span = Field(
        description="[begin, end) in characters of the translation; empty at the end of a sentence."
    )
    log_probability: float

    @classmethod
    def of(cls, token: TokenScore) -> Self:
        """Tell what is known of a token."""
        return cls(span=(token.begin, token.end), log_probability=token.log_probability)


class SentenceScoreBody(BaseModel):
    """A sentence of the translation."""

    source_span: Span = Field(description="[begin, end) in characters of the text.")
    target_span: Span = Field(description="[begin, end) in characters of the translation.")
    log_probability: float = Field(description=LOG_PROBABILITY)
    score: float = Field(description=SCORE)
    confidence: float | None = Field(None, description=CONFIDENCE)
    tokens: list[TokenBody] | None = Field(None, description="Absent if not asked for.")


class TranslationScore(BaseModel):
    """What a model thinks of a translation."""

    source: str = Field(description="As asked, or as found.")
    target: str
    model: str = Field(description="Bundle and version that was asked, such as de-en/3.")
    log_probability: float = Field(description=LOG_PROBABILITY)
    num_tokens: int = Field(description="How many there are, ends of sentences included.")
    score: float = Field(description="The mean of the sentences' by their tokens.")
    confidence: float | None = Field(None, description=CONFIDENCE)
    sentences: list[SentenceScoreBody] = Field(
        description="Pairs of sentences, if text and translation have as many; else one pair."
    )

    @classmethod
    def of(cls, score: Score, *, tokens: bool) -> Self:
        """Tell what is known of a score."""
        return cls(
            source=score.source,
            target=score.target,
            model=score.model,
            log_probability=score.log_probability,
            num_tokens=score.num_tokens,
            score=score.score,
            confidence=score.confidence,
            sentences=[
                SentenceScoreBody(
                    source_span=each.source_span,
                    target_span=each.target_span,
                    log_probability=each.log_probability,
                    score=each.score,
                    confidence=each.confidence,
                    tokens=[TokenBody.of(token) for token in each.tokens] if tokens else None,
                )
                for each in score.sentences
            ],
        )


class ScoreResponse(BaseModel):
    """The scores, in the order of the texts."""

    scores: list[TranslationScore | FailureBody] = Field(
        description="An object with `error` stands in the place of a text that failed."
    )


@router.post("/score", response_model_exclude_none=True)
async def score(
    caller: TranslatingCaller,
    body: ScoreRequest,
    request: Request,
    models: ModelsAtWork,
    limits: Limits,
) -> ScoreResponse:
    """Tell for each text how likely the model holds the translation that comes with it."""
    check_totals(body.text, limits)
    check_totals(body.translation, limits)
    check_common(body, limits)
    if len(body.text) != len(body.translation):
        message = f"translation: {len(body.translation)} for {len(body.text)} texts"
        raise InvalidRequest(message, field="translation", limit=len(body.text))
    caller.charge(sum(map(len, body.text)))
    outcomes = await unless_gone(request, _score_all(body, models, limits))
    caller.refund(characters_of_failures(body.text, outcomes))
    return ScoreResponse(
        scores=items(
            request, outcomes, lambda _, found: TranslationScore.of(found, tokens=body.tokens)
        )
    )


async def _score_all(
    body: ScoreRequest, models: Models, limits: RequestLimits
) -> list[Score | ServiceError]:
    sources = [body.source] * len(body.text)
    if body.source == AUTO:
        sources = [found.language for found in await detect_texts(body.text, models)]

    async def score_one(i: int, own: TranslationOptions) -> Score:
        check_length(body.text, i, limits)
        check_length(body.translation, i, limits, "translation")
        translator = models.find(sources[i], body.target)
        if record := current_record():
            record.note_model(translator.model)
        return await translator.score(body.text[i], body.translation[i], own)

    options = TranslationOptions(
        length_penalty=body.length_penalty,
        priority=body.priority,
        deadline_seconds=body.timeout,
    )
    return await attempt_each(body.text, options, score_one)
