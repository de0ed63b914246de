"""The words of this dialect: one sentence for whatever went wrong, where it can the original's."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError

from service.access import Caller
from service.api.bodies import Fields
from service.api.dependencies import authorize
from service.api.dialect import dialect, failures
from service.errors import InvalidRequest, KeyRequired, RateLimited, ServiceError, Unauthorized

Model = TypeVar("Model", bound=BaseModel)

TAG = "LibreTranslate"

_MAX_QUOTED_CHARACTERS = 32


class ErrorBody(BaseModel):
    """The answer to every request that failed."""

    error: str = Field(examples=["Invalid request: missing q parameter"])


_FAILURES = failures(ErrorBody, 400, 403, 413, 429, 500, 503, 504)


def render(request: Request, error: ServiceError) -> Response:
    """Answer a failure in the shape of this dialect."""
    status, sentence = error.status, str(error)
    match error:
        case KeyRequired():
            status, sentence = 400, "Please contact the server operator to get an API key"
        case Unauthorized():
            status, sentence = 403, "Invalid API key"
        case RateLimited():
            sentence = f"Slowdown: {error.rate}"
    return JSONResponse(ErrorBody(error=sentence).model_dump(), status)


async def _translating(request: Request, fields: Fields) -> Caller:
    return await authorize(request, _key(fields), "translate")


async def _with_files(request: Request, fields: Fields) -> Caller:
    return await authorize(request, _key(fields), "documents")


def _key(fields: dict[str, Any]) -> str | None:
    key = fields.get("api_key")
    return key if isinstance(key, str) else None


TranslatingCaller = Annotated[Caller, Depends(_translating)]
"""Who asks for translations, with his key in a field or a header; to be charged."""

CallerWithFiles = Annotated[Caller, Depends(_with_files)]
"""Who asks for translations of files, likewise."""


def dialect_router() -> APIRouter:
    """Return a router whose routes answer failures as this dialect does."""
    return APIRouter(tags=[TAG], route_class=dialect(render), responses=_FAILURES)


def parse(model: type[Model], fields: dict[str, Any]) -> Model:
    """Return the fields as a model.

    Raises:
        InvalidRequest: they are not what the model wants.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise InvalidRequest(_complaint(error.errors()[0])) from None


def _complaint(error: Mapping[str, Any]) -> str:
    name, value = error["loc"][0], error["input"]
    if name == "alternatives":
        return "Invalid request: alternatives parameter is not a number"
    if name == "file" or error["type"] == "missing" or value in (None, "", []):
        return f"Invalid request: missing {name} parameter"
    if name == "format":
        return f"{str(value)[:_MAX_QUOTED_CHARACTERS]} format is not supported"
    return f"Invalid request: {name} parameter: {error['msg']}"
