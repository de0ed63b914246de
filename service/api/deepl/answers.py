"""What all answers of this dialect share: the shape of a failure, and a trace id."""

from http import HTTPStatus

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.dialect import failures
from service.errors import NotReady, QuotaExceeded, ServiceError, Unauthorized, UnsupportedPair

QUOTA_EXCEEDED = 456
"""Status that only DeepL's clients know."""

PREFIXES = ("/v2", "/v3")
"""Beginnings of the paths of this dialect."""


class DeepLFailure(BaseModel):
    """The answer to every request that failed."""

    message: str = Field(examples=["Value for 'target_lang' not supported."])


FAILURES = failures(DeepLFailure, 400, 403, 404, 413, 429, QUOTA_EXCEEDED, 500, 503, 504)


def render(_: Request, error: ServiceError) -> Response:
    """Answer a failure in the shape of this API, which has one string for it."""
    message = str(error)
    if isinstance(error, UnsupportedPair) and error.field:
        message = f"Value for '{error.field}_lang' not supported."
    return JSONResponse(DeepLFailure(message=message).model_dump(), _status(error))


def _status(error: ServiceError) -> int:
    match error:
        case Unauthorized():
            return HTTPStatus.FORBIDDEN
        case QuotaExceeded():
            return QUOTA_EXCEEDED
        case NotReady():
            return HTTPStatus.SERVICE_UNAVAILABLE
        case _:
            return error.status


def _is_ours(path: str) -> bool:
    return any(f"{path}/".startswith(f"{prefix}/") for prefix in PREFIXES)


class TraceId:
    """ASGI middleware: tells the id of the request in the header that clients of DeepL log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or not _is_ours(scope["path"]):
            await self._app(scope, receive, send)
            return

        async def send_with_trace(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Trace-ID"] = scope["state"]["request_id"]
            await send(message)

        await self._app(scope, receive, send_with_trace)
