"""What all answers of this dialect share: the shape of a failure, and a trace id."""

from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import QuotaExceeded, ServiceError, Unauthorized, UnsupportedPair

QUOTA_EXCEEDED = 456
"""Status that only DeepL's clients know."""

PREFIXES = ("/v2", "/v3")
"""Beginnings of the paths of this dialect."""


class DeepLFailure(BaseModel):
    """The answer to every request that failed."""

    message: str = Field(examples=["Value for 'target_lang' not supported."])


FAILURES: dict[int | str, dict[str, Any]] = {
    400: {"model": DeepLFailure, "description": "The request cannot be served as it stands"},
    403: {
        "model": DeepLFailure,
        "description": "No key, or one that is unknown or may not do this",
    },
    413: {"model": DeepLFailure, "description": "The body or a text is too large"},
    429: {"model": DeepLFailure, "description": "The key has sent too many requests"},
    QUOTA_EXCEEDED: {"model": DeepLFailure, "description": "The quota of the key is used up"},
    503: {"model": DeepLFailure, "description": "Too much work is waiting, or the end is near"},
    "default": {"model": DeepLFailure, "description": "Any other failure, in the same shape"},
}
NOT_FOUND: dict[int | str, dict[str, Any]] = {
    404: {"model": DeepLFailure, "description": "There is nothing by this id"}
}


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
