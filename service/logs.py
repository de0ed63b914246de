"""One line for each event, with the id of the request that it belongs to.

Modules log with `logging.getLogger(__name__)`; here structlog renders what they say as JSON
lines, or for a person to read. No text that is translated and no key appears at any level:
a trace shows the places of a failure, never the values of its variables.
"""

import logging
import re
import secrets
import sys
import time
import uuid
from collections.abc import Mapping
from typing import Literal, TextIO

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.typing import EventDict, Processor, WrappedLogger

from service import metrics
from service.record import Record, recording
from service.traces import Traces, ids_of

log = logging.getLogger(__name__)

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
TRACE_PARENT = re.compile(
    r"(?!00.{53}.)(?!ff)[0-9a-f]{2}-(?!0{32})(?P<trace_id>[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}"
    r"-(?P<flags>[0-9a-f]{2})(?:-.*)?"
)
"""W3C Trace Context, 3.2; versions after 00 may have more behind the flags."""
QUIET_ROUTES = {"/startupz", "/livez", "/readyz", "/metrics"}
"""Asked every few seconds by machines: worth a line at level debug only."""


def configure(
    level: str, log_format: Literal["json", "console"], stream: TextIO = sys.stderr
) -> None:
    """Send the events of all loggers to `stream`, as JSON lines or for a person to read."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _drop_colours,
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(log_format, is_terminal=stream.isatty()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # They tell in prose what is said as events, or is of no use.
    for talker in ("uvicorn", "alembic"):
        logging.getLogger(talker).setLevel(logging.WARNING)


def _renderers(log_format: Literal["json", "console"], *, is_terminal: bool) -> list[Processor]:
    # Both of structlog's richer traces print local variables, and these hold texts.
    if log_format == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    return [
        structlog.dev.ConsoleRenderer(
            colors=is_terminal, exception_formatter=structlog.dev.plain_traceback
        )
    ]


def _drop_colours(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event.pop("color_message", None)  # uvicorn's second copy of its own message
    return event


class RequestLog:
    """ASGI middleware: gives each request an id, a clock and a record, and logs its end.

    The id comes from `X-Request-Id` if that is short and plain, else it is new. It is in the
    answer's headers, in `request.state.request_id`, and in every event logged meanwhile; so is
    the trace id, if the caller sent a `traceparent` or requests are traced. The answer tells too
    which models served and how the time was spent, as far as that is known when it begins.

    Args:
        traces: where a span of each request goes, but for those of probes.
    """

    def __init__(self, app: ASGIApp, traces: Traces | None = None) -> None:
        self._app = app
        self._traces = traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers, span = Headers(scope=scope), None
        if self._traces and scope["path"] not in QUIET_ROUTES:
            span = self._traces.begin(headers)
        ids = {"request_id": _request_id(headers)} | (ids_of(span) if span else _trace_ids(headers))
        scope.setdefault("state", {})["request_id"] = ids["request_id"]
        status = 500  # what a request ends with that nobody answers

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers.update(_headers(ids, record, time.perf_counter() - started))
            await send(message)

        keeps_stages = span is not None and span.is_recording()
        with (
            recording(keeps_stages=keeps_stages) as record,
            structlog.contextvars.bound_contextvars(**ids),
        ):
            try:
                await self._app(scope, receive, send_with_headers)
            finally:
                _log_end(scope, status, time.perf_counter() - started)
                if self._traces and span:
                    name, attributes = _describe(scope, status, ids["request_id"])
                    self._traces.end(span, name, attributes, record)


def _request_id(headers: Headers) -> str:
    offered = headers.get("X-Request-Id", "")
    return offered if REQUEST_ID.fullmatch(offered) else uuid.uuid4().hex


def _trace_ids(headers: Headers) -> dict[str, str]:
    trace = TRACE_PARENT.fullmatch(headers.get("traceparent", ""))
    if not trace:
        return {}
    flags = f"{int(trace['flags'], 16) & 1:02x}"
    return {"trace_id": trace["trace_id"], "span_id": secrets.token_hex(8), "trace_flags": flags}


def _describe(scope: Scope, status: int, request_id: str) -> tuple[str, dict[str, str | int]]:
    """Return name and attributes of the span of a request, in OpenTelemetry's words for HTTP."""
    method, route = scope["method"], _route(scope)
    attributes = {
        "http.request.method": method,
        "http.route": route,
        "http.response.status_code": status,
        "dragoman.request_id": request_id,
    }
    return f"{method} {route}", attributes


def _headers(ids: Mapping[str, str], record: Record, seconds: float) -> dict[str, str]:
    times = {"total": seconds} | record.seconds_by_stage()
    headers = {
        "X-Request-Id": ids["request_id"],
        "Server-Timing": ", ".join(f"{name};dur={1000 * s:.1f}" for name, s in times.items()),
    }
    if record.models:
        headers["X-Model-Version"] = ", ".join(record.models)
    if "trace_id" in ids:
        headers["traceparent"] = f"00-{ids['trace_id']}-{ids['span_id']}-{ids['trace_flags']}"
    return headers


def _route(scope: Scope) -> str:
    # Never the path: what does not fit a route is whatever the client made up.
    return getattr(scope.get("route"), "path", "") or scope.get("root_path") or "unknown"


def _log_end(scope: Scope, status: int, seconds: float) -> None:
    route = _route(scope)
    level = logging.DEBUG if route in QUIET_ROUTES else logging.INFO
    fields = {
        "method": scope["method"],
        "route": route,
        "status": status,
        "seconds": round(seconds, 6),
    }
    log.log(level, "request served", extra=fields)
    metrics.REQUEST_SECONDS.labels(route=route, status=f"{status // 100}xx").observe(seconds)
