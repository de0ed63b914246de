"""The native API, version 1."""

import asyncio
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError
from starlette.exceptions import HTTPException

from service.api.dependencies import CurrentIntake, Limits, Models, RequestLimits, unless_gone
from service.api.dialect import dialect
from service.engine import Translation, TranslationOptions, is_same_language
from service.errors import InvalidRequest, Overloaded, ServiceError, TextTooLong, TooLarge

AUTO = "auto"

CHARACTERS_AT_ONCE = 10_000
"""Of one request, in the engine together: enough to fill batches, and far less than may wait
there, so that a long request neither fills the waiting line nor is refused by its own length.
"""


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
    headers = {}
    if isinstance(error, Overloaded):
        headers["Retry-After"] = str(error.retry_after_seconds)
    return _answer(failure, error.status, headers)


def render_unrouted(request: Request, error: Exception) -> Response:
    """Answer what no route has met, such as a path that does not exist, in the same shape."""
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    failure = Failure(
        code=phrase.lower().replace(" ", "_"),
        message=f"{phrase}: {request.method} {request.url.path}",
        field=None,
        limit=None,
        request_id=request.state.request_id,
    )
    return _answer(failure, error.status_code, error.headers)


def _answer(failure: Failure, status: int, headers: Mapping[str, str] | None) -> Response:
    body = json.dumps(FailureBody(error=failure).model_dump())
    return Response(body, status, headers, "application/json")


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
    "default": {"model": FailureBody, "description": "Any other failure, in the same shape"},
}

router = APIRouter(
    prefix="/v1", tags=["translation"], route_class=dialect(render), responses=_FAILURES
)


def _as_list(text: object) -> object:
    if isinstance(text, str):
        return [text]
    if isinstance(text, list):
        return text
    raise PydanticCustomError("texts_type", "Input should be a string or a list of strings")


def _check_unicode(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        message = "Character {position} is half of a surrogate pair"
        raise PydanticCustomError("unicode", message, {"position": error.start}) from None
    return text


Texts = Annotated[
    list[Annotated[str, AfterValidator(_check_unicode)]],
    BeforeValidator(_as_list),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
            "description": "A text of any length, or a list of texts.",
            "examples": ["Guten Morgen. Wie geht es dir?"],
        }
    ),
]


class TranslateRequest(BaseModel):
    """Texts and how to translate them."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: Texts
    source: str = Field(
        AUTO,
        description="Language of the texts; `auto` finds it for each. A text found to be in the "
        "target language comes back as it is.",
        examples=["de"],
    )
    target: str = Field(description="Language to translate into.", examples=["en"])
    beam: int | None = Field(
        None,
        ge=1,
        description="Beam width; 1 is greedy search. The model's own if not given.",
        examples=[4],
    )
    alternatives: int = Field(0, ge=0, description="Further translations of each text.")
    max_tokens: int | None = Field(
        None,
        ge=1,
        description="Most target tokens of a sentence. The model's own if not given.",
        examples=[256],
    )


class TranslationBody(BaseModel):
    """A translation and where it came from."""

    model_config = ConfigDict(from_attributes=True)

    text: str
    source: str = Field(description="As asked, or as found.")
    target: str
    model: str = Field(
        description="Bundle and version that translated, such as de-en/3; empty if none did."
    )
    score: float = Field(description="Mean length-normalised log-probability.")
    finish_reason: Literal["eos", "length"] = Field(
        description="`length` if a sentence was cut off at its most tokens."
    )
    alternatives: list[str] = Field(description="Other translations, best first.")


class TranslateResponse(BaseModel):
    """The translations, in the order of the texts."""

    translations: list[TranslationBody]


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


@router.post("/translate")
async def translate(
    body: TranslateRequest, request: Request, models: Models, limits: Limits, intake: CurrentIntake
) -> TranslateResponse:
    """Translate one text or several, each into one translation."""
    if not intake.is_open:
        raise Overloaded("the service is shutting down")
    _check(body, limits)
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
    tasks: list[asyncio.Task[Translation]] = []
    running: dict[asyncio.Task[Translation], int] = {}
    try:
        for text in body.text:
            while running and sum(running.values()) + len(text) > CHARACTERS_AT_ONCE:
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    del running[task]
                    task.result()  # raises if it failed: then the rest is in vain
            tasks.append(asyncio.create_task(_translate_one(text, body, models)))
            running[tasks[-1]] = len(text)
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def _translate_one(text: str, body: TranslateRequest, models: Models) -> Translation:
    source = body.source
    if source == AUTO:
        # In a thread, for the first call loads the detector.
        source = (await asyncio.to_thread(models.detect, text)).language
        if is_same_language(source, body.target):
            return Translation.unchanged(text, source)
    options = TranslationOptions(
        beam=body.beam, alternatives=body.alternatives, max_tokens=body.max_tokens
    )
    return await models.find(source, body.target).translate(text, options)


def _check(body: TranslateRequest, limits: RequestLimits) -> None:
    if len(body.text) > limits.max_texts:
        raise TooLarge(
            f"text: {len(body.text)} texts exceed {limits.max_texts}",
            field="text",
            limit=limits.max_texts,
        )
    most = limits.max_text_characters
    for i, text in enumerate(body.text):
        if len(text) > most:
            field = f"text.{i}" if len(body.text) > 1 else "text"
            message = f"{field}: {len(text)} characters exceed {most}"
            raise TextTooLong(message, field=field, limit=most)
    numbers = (
        ("beam", body.beam, limits.max_beam),
        ("alternatives", body.alternatives, limits.max_alternatives),
        ("max_tokens", body.max_tokens, limits.max_tokens),
    )
    for field, value, limit in numbers:
        if value is not None and value > limit:
            raise InvalidRequest(f"{field}: {value} exceeds {limit}", field=field, limit=limit)
