"""Connections that wear nobody down: bounded in number, and in how long they keep one waiting.

uvicorn waits for ever for the head of a first request, for the rest of a body, and for a client to
read its answer. Whoever keeps it waiting longer than these times is cut off.
"""

import asyncio
import logging
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

log = logging.getLogger(__name__)

HEAD_SECONDS = 10.0
"""For all of the first line and the headers of a request, from the moment that one is due."""
PROGRESS_SECONDS = 60.0
"""Without a byte of a body that is not all there, or without room for more of an answer."""
LINGER_SECONDS = 2.0
"""For a client to read an answer that was given before it had sent all of its body."""
PIECE_BYTES = 16_384
"""Of a head, that are looked at together: h11 measures only what is not complete."""

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 24\r\n\r\n"
    b"too many connections now"
)


class BoundedConnection(H11Protocol):
    """One connection; uvicorn's `limit_concurrency` is how many there may be."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:  # noqa: ANN401  # uvicorn's own
        super().__init__(*arguments, **keywords)
        # Asked when a connection is made, not for each request: what is open may be used.
        self._most, self.limit_concurrency = self.limit_concurrency, None
        self._timer: asyncio.TimerHandle | None = None
        self._awaits_head = self._lingers = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse a connection beyond the limit, and wait for the head on any other."""
        super().connection_made(transport)
        if self._most is not None and len(self.connections) > self._most:
            log.warning("connection refused", extra={"limit": self._most})
            transport.write(_FULL)
            transport.close()
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what came, and see what is waited for now."""
        while data and not self.transport.is_closing():
            size = len(data) if self.conn.their_state is h11.SEND_BODY else PIECE_BYTES
            super().data_received(data[:size])
            data = data[size:]
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request, for as long as uvicorn does, or for the rest of its head."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self._set_timer(PROGRESS_SECONDS)

    def resume_writing(self) -> None:
        """Go on, for the client has read."""
        super().resume_writing()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        super().connection_lost(exc)
        self._set_timer(None)

    def _watch(self) -> None:
        state = self.conn.their_state
        self._lingers = self._lingers and state is h11.SEND_BODY
        if self.transport.is_closing():
            self._set_timer(None)
        elif state is h11.SEND_BODY and self.cycle.response_complete:
            if not self._lingers:
                self._lingers = True
                self._set_timer(LINGER_SECONDS)
        elif self.timeout_keep_alive_task is not None:
            self._awaits_head = False
            self._set_timer(None)
        elif state is h11.IDLE:
            # From the first byte on, or a byte now and then would keep it open for ever.
            if not self._awaits_head:
                self._awaits_head = True
                self._set_timer(HEAD_SECONDS)
        else:
            self._awaits_head = False
            self._set_timer(PROGRESS_SECONDS if state is h11.SEND_BODY else None)

    def _set_timer(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._give_up)

    def _give_up(self) -> None:
        self._timer = None
        if (
            self.flow.read_paused
            and not self.flow.write_paused
            and self.conn.their_state is h11.SEND_BODY
        ):
            self._set_timer(PROGRESS_SECONDS)  # it is the service that has not taken what came
            return
        log.info("connection cut off", extra={"reason": "the client kept it waiting"})
        self.transport.abort()
