"""The shape of every failure of the native API, whatever module its route is in."""

import json
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel, Field

from service.errors import ServiceError


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


def describe(request: Request, error: ServiceError) -> Failure:
    """Say what went wrong in the shape of this API."""
    return Failure(
        code=error.code,
        message=str(error),
        field=error.field,
        limit=error.limit,
        request_id=request.state.request_id,
    )


def render(request: Request, error: ServiceError) -> Response:
    """Answer a failure in the shape of this API."""
    body = json.dumps(FailureBody(error=describe(request, error)).model_dump())
    return Response(body, error.status, media_type="application/json")


FAILURES: dict[int | str, dict[str, Any]] = {
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
"""What the routes of the native API may answer besides success, for their description."""
