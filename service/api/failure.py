"""The shape of every failure of the native API, whatever module its route is in."""

import json

from fastapi import Request, Response
from pydantic import BaseModel, Field

from service.api.dialect import failures
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


FAILURES = failures(FailureBody, 400, 401, 403, 413, 429, 500, 503, 504)
"""What any route of the native API that works for a caller may answer besides success."""
