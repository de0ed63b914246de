"""The native API, version 1."""

import json
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from service.api.dependencies import CurrentIntake, Limits, Models, unless_gone
from service.api.dialect import dialect
from service.api.texts import detect_texts, translate_texts
from service.api.translation import (
    AUTO,
    TranslateRequest,
    TranslateResponse,
    TranslationBody,
    check,
)
from service.engine import Translation, TranslationOptions
from service.errors import Overloaded, ServiceError


class Failure(BaseModel):
    """What went wrong."""

    code: str = Field(description="Stable name of the failure.", examples=["text_too_long"])
    message: str = Field(description="The value at fault and the limit it broke, in words.")
    field: str | None = Field(description="The part of the request at fault.", examples=["text.0"])
    limit: int | float | None = Field(description="The number that was broken.", examples=[50000])
    request_id: str = Field(description="The same as in X-Request-Id and in the log.")


class FailureBody(BaseModel):
    """The answer to every request that failed."""

    error: Failure


def render(request: Request, error: ServiceError) -> Response:
    """Answer a failure in the shape of this API."""
    failure = Failure(
        code=error.code,
        message=str(error),
        field=error.field,
        limit=error.limit,
        request_id=request.state.request_id,
    )
    body = json.dumps(FailureBody(error=failure).model_dump())
    return Response(body, error.status, media_type="application/json")


_FAILURES: dict[int | str, dict[str, Any]] = {
    400: {"model": FailureBody, "description": "The request cannot be served as it stands"},
    413: {
        "model": FailureBody,
        "description": "The body, a text or the number of texts is too large",
    },
    503: {
        "model": FailureBody,
        "description": "Too much work is waiting, or the service is shutting down",
        "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}},
    },
    504: {"model": FailureBody, "description": "The deadline of the request passed"},
    "default": {"model": FailureBody, "description": "Any other failure, in the same shape"},
}

router = APIRouter(
    prefix="/v1", tags=["translation"], route_class=dialect(render), responses=_FAILURES
)


class Language(BaseModel):
    """A language that can be translated."""

    source: str
    targets: list[str] = Field(description="What it can be translated into.")


class LanguagesResponse(BaseModel):
    """The languages of all models."""

    languages: list[Language]


class DirectionBody(BaseModel):
    """A pair of languages that a model translates."""

    model_config = ConfigDict(from_attributes=True)

    source: str
    target: str


class ScoreBody(BaseModel):
    """A measurement of a model, with its circumstances."""

    model_config = ConfigDict(from_attributes=True)

    variant: str = Field(description="Rendering of the network that was measured, such as int8.")
    test_set: str
    direction: DirectionBody
    metric: str
    score: float
    signature: str = Field(description="sacreBLEU's own account of how the score was made.")
    beam: int
    length_penalty: float
    sentences: int


class ModelBody(BaseModel):
    """A bundle that is loaded."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    version: str
    directions: list[DirectionBody]
    variant: str = Field(description="Precision of the weights, such as fp32.")
    provider: str = Field(description="What of ONNX Runtime runs it.")
    parameters: int
    scores: list[ScoreBody]


class ModelsResponse(BaseModel):
    """All models."""

    models: list[ModelBody]


@router.post("/translate", response_model_exclude_none=True)
async def translate(
    body: TranslateRequest, request: Request, models: Models, limits: Limits, intake: CurrentIntake
) -> TranslateResponse:
    """Translate one text or several, each into one translation."""
    if not intake.is_open:
        raise Overloaded("the service is shutting down")
    check(body, limits)
    translations = await unless_gone(request, _translate_all(body, models))
    return TranslateResponse(
        translations=[TranslationBody.model_validate(translation) for translation in translations]
    )


@router.get("/languages")
async def list_languages(models: Models) -> LanguagesResponse:
    """List what can be translated into what."""
    return LanguagesResponse(
        languages=[
            Language(source=source, targets=targets)
            for source, targets in models.languages().items()
        ]
    )


@router.get("/models")
async def list_models(models: Models) -> ModelsResponse:
    """List the models and what was measured of them."""
    return ModelsResponse(models=[ModelBody.model_validate(m) for m in models.describe()])


async def _translate_all(body: TranslateRequest, models: Models) -> list[Translation]:
    if body.source == AUTO:
        sources = [found.language for found in await detect_texts(body.text, models)]
    else:
        models.find(body.source, body.target)  # from a language to itself, nothing translates
        sources = [body.source] * len(body.text)
    return await translate_texts(body.text, sources, body.target, _options(body), models)


def _options(body: TranslateRequest) -> TranslationOptions:
    return TranslationOptions(
        beam=body.beam,
        length_penalty=body.length_penalty,
        alternatives=body.alternatives,
        max_tokens=body.max_tokens,
        no_repeat_ngram=body.no_repeat_ngram,
        coverage_penalty=body.coverage_penalty,
        split=body.split,
        attention=body.attention,
        priority=body.priority,
        deadline_seconds=body.deadline_seconds,
    )
