"""How a router answers failures in the error shape of the API it speaks.

Routes raise and never catch. What a body can have wrong (its type, its encoding, its size,
its fields) becomes a `ServiceError` here, and so does a path or a method that no route has. The
dialect's `render` is called once; the headers that all dialects owe are added to what it returns.
"""

import logging
from asyncio import CancelledError
from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import metrics
from service.errors import (
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    ServiceError,
    TooLarge,
)

log = logging.getLogger(__name__)

Render = Callable[[Request, ServiceError], Response]

CLIENT_GONE = 499
"""Status in logs and metrics of a request whose client did not wait; nobody receives it."""


Responses = dict[int | str, dict[str, Any]]
"""Answers of a route by status, as FastAPI takes them for the description of the API."""

_RETRY = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}}
_STATUSES: Responses = {
    400: {"description": "The request cannot be served as it stands"},
    401: {"description": "The key is missing or unknown, has expired or was revoked"},
    403: {"description": "The key is not good for this"},
    404: {"description": "There is nothing by this name"},
    409: {"description": "It is too early for this"},
    413: {"description": "The body or a text is too large, or there are too many texts"},
    415: {"description": "What was sent, or is asked for, is of a kind that is not served"},
    429: {"description": "Too many requests, or the quota is used up", "headers": _RETRY},
    456: {"description": "The quota of the key is used up"},
    500: {"description": "The service failed; its log tells why, by the id of the request"},
    503: {"description": "Too much is waiting, or the service begins or ends", "headers": _RETRY},
    504: {"description": "It was not done in the time that was given"},
}


def failures(shape: type[BaseModel], *statuses: int) -> Responses:
    """Return the description of failures in the shape of a dialect."""
    return {status: {"model": shape, **_STATUSES[status]} for status in statuses}


def dialect(render: Render) -> type[APIRoute]:
    """Return a route class for `APIRouter(route_class=...)` that answers failures by `render`."""

    class DialectRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def handle_in_dialect(request: Request) -> Response:
                try:
                    return await handle(request)
                except (Exception, CancelledError) as error:  # noqa: BLE001  # bugs are answered too
                    if _is_departure(error):
                        return Response(status_code=CLIENT_GONE)
                    return _answer(refused(request, error), request, render)

            return handle_in_dialect

    return DialectRoute


class Unrouted:
    """Handler of what reaches no route, or fails outside of one, in the words of its path.

    Args:
        renders: by the beginning of paths, in whole segments; the longest that fits decides, so
            `""` is for all the rest.
    """

    def __init__(self, renders: Mapping[str, Render]) -> None:
        self._renders = sorted(renders.items(), key=lambda item: len(item[0]), reverse=True)

    def __call__(self, request: Request, error: Exception) -> Response:
        """Answer one request."""
        path = request.url.path
        render = next(
            render for prefix, render in self._renders if f"{path}/".startswith(f"{prefix}/")
        )
        if not isinstance(error, HTTPException):  # a bug, and Starlette raises it again for the log
            return _answer(_counted(ServiceError("internal error")), request, render)
        phrase = HTTPStatus(error.status_code).phrase
        is_known = error.status_code == HTTPStatus.METHOD_NOT_ALLOWED
        failure = (MethodNotAllowed if is_known else NotFound)(f"{phrase}: {request.method} {path}")
        answer = _answer(_counted(failure), request, render)
        answer.headers.update(error.headers or {})
        return answer


def refused(request: Request, error: BaseException) -> ServiceError:
    """Return what to tell the caller of an error, which is counted, and logged if it is a bug."""
    return _counted(_failure(request, error))


def _counted(failure: ServiceError) -> ServiceError:
    metrics.REFUSED.labels(code=failure.code).inc()
    return failure


def _answer(failure: ServiceError, request: Request, render: Render) -> Response:
    answer = render(request, failure)
    if failure.retry_after_seconds is not None:
        answer.headers["Retry-After"] = str(failure.retry_after_seconds)
    if answer.status_code == HTTPStatus.UNAUTHORIZED:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def _is_departure(error: BaseException) -> bool:
    return isinstance(error, ClientDisconnect) or isinstance(error.__cause__, ClientDisconnect)


def _failure(request: Request, error: BaseException) -> ServiceError:
    match error:
        case ServiceError():
            return error
        case RequestValidationError():
            return _invalid(request, error.errors()[0])
        case HTTPException():
            return _unreadable(error)
        case CancelledError():
            # By the server, when its grace at shutdown is over: there is time for an answer.
            return Overloaded("the service is shutting down")
        case _:
            log.error("request failed", exc_info=error)
            return ServiceError("internal error")


def _invalid(request: Request, error: Mapping[str, Any]) -> InvalidRequest:
    where = [str(part) for part in error["loc"][1:]]
    if error["type"] == "json_invalid":
        position = error["loc"][1]
        return InvalidRequest(f"the body is not JSON from character {position} on", field="body")
    if where:
        field, limits = ".".join(where), error.get("ctx", {})
        limit = next((limits[name] for name in ("le", "ge", "gt") if name in limits), None)
        return InvalidRequest(f"{field}: {error['msg']}", field=field, limit=limit)
    if error["type"] != "missing" and "json" not in request.headers.get("Content-Type", ""):
        return InvalidRequest("Content-Type must be application/json", field="Content-Type")
    return InvalidRequest("the body must be a JSON object", field="body")


def _unreadable(error: HTTPException) -> ServiceError:
    if isinstance(error.__cause__, ServiceError):  # FastAPI wraps what `BodyLimit` raises
        return error.__cause__
    if isinstance(error.__cause__, UnicodeDecodeError):
        return InvalidRequest("the body is not UTF-8", field="body")
    return InvalidRequest("the body cannot be read", field="body")


class BodyLimit:
    """ASGI middleware: to read a body beyond the limit fails with `TooLarge`.

    The length is counted as the bytes come, whatever the headers say; one that the headers
    admit to be too large is refused before the first byte.

    Args:
        uploads: the limit of each path to which files are sent.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, uploads: Mapping[str, int]) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        lengths = [value for name, value in scope["headers"] if name == b"content-length"]
        declared = max((int(value) for value in lengths if value.isdigit()), default=0)
        max_bytes = self._uploads.get(scope["path"], self._max_bytes)
        size_bytes = 0

        async def receive_within_limit() -> Message:
            nonlocal size_bytes
            _check_size(declared, max_bytes)
            message = await receive()
            size_bytes += len(message.get("body", b""))
            _check_size(size_bytes, max_bytes)
            return message

        await self._app(scope, receive_within_limit, send)


def _check_size(size_bytes: int, max_bytes: int) -> None:
    if size_bytes > max_bytes:
        raise TooLarge(f"the body exceeds {max_bytes} bytes", field="body", limit=max_bytes)
