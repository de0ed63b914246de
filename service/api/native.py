"""The native API, version 1."""

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from service.api.dependencies import (
    Limits,
    Models,
    ModelsAtWork,
    RequestLimits,
    TranslatingCaller,
    unless_gone,
)
from service.api.dialect import dialect
from service.api.failure import FAILURES, FailureBody, describe, render
from service.api.texts import check_length, detect_texts, translate_each
from service.api.translation import (
    AUTO,
    TranslateRequest,
    TranslateResponse,
    TranslationBody,
    check,
    options_of,
    raise_if_all_failed,
)
from service.engine import Translation
from service.errors import ServiceError

router = APIRouter(
    prefix="/v1", tags=["translation"], route_class=dialect(render), responses=FAILURES
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
    body: TranslateRequest,
    request: Request,
    models: ModelsAtWork,
    limits: Limits,
    caller: TranslatingCaller,
) -> TranslateResponse:
    """Translate one text or several, each into one translation.

    A text that fails has an `error` in the place of its translation; the request fails only if
    all of its texts do, and for the same reason.
    """
    check(body, limits)
    caller.charge(sum(map(len, body.text)))
    outcomes = await unless_gone(request, _translate_all(body, models, limits))
    raise_if_all_failed(outcomes)
    done = zip(body.text, outcomes, strict=True)
    caller.refund(sum(len(text) for text, o in done if isinstance(o, ServiceError)))
    return TranslateResponse(translations=[_item(request, outcome) for outcome in outcomes])


async def _translate_all(
    body: TranslateRequest, models: Models, limits: RequestLimits
) -> list[Translation | ServiceError]:
    if body.source == AUTO:
        sources = [found.language for found in await detect_texts(body.text, models)]
    else:
        models.find(body.source, body.target)  # from a language to itself, nothing translates
        sources = [body.source] * len(body.text)
    refused = [check_length(body.text, i, limits) for i in range(len(body.text))]
    accepted = [i for i, failure in enumerate(refused) if failure is None]
    outcomes = iter(
        await translate_each(
            [body.text[i] for i in accepted],
            [sources[i] for i in accepted],
            body.target,
            options_of(body),
            models,
        )
    )
    return [failure or next(outcomes) for failure in refused]


def _item(request: Request, outcome: Translation | ServiceError) -> TranslationBody | FailureBody:
    if isinstance(outcome, ServiceError):
        return FailureBody(error=describe(request, outcome))
    return TranslationBody.model_validate(outcome)


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
