"""The web server around the application: how it begins, reloads and ends.

It listens while the models are loaded, so that probes are answered; if they cannot be, it
ends. SIGHUP lets the library look for new bundles.

The first SIGTERM or SIGINT closes the intake: from then on `/readyz` and new work are
answered with 503, while what was accepted goes on. The server exits, with status 0, as soon
as no request is under way, or after `drain_seconds`; a second signal ends it at once.
`dragoman serve` calls `serve`; only this module and `connections` know uvicorn.
"""

import ipaddress
import logging
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI

from service.connections import BoundedConnection
from service.settings import Settings

log = logging.getLogger(__name__)

LAST_GRACE_SECONDS = 1
"""Given to requests that are cancelled at the end, to answer."""

MAX_HEAD_BYTES = 65_536
"""Of the first line and the headers of a request; it is answered with 400 beyond them."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; uvicorn would end the process if the address is taken.

    Raises:
        OSError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=2048)
    # Connections inherit it. Else the body of an answer waits until the client acknowledges its
    # head, up to 40 ms; asyncio sees to it only for sockets that it has opened itself.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def serve(app: FastAPI, settings: Settings) -> None:
    """Listen until a signal comes, then drain and return.

    Raises:
        DamagedBundle: of some name no bundle can be loaded.
        FileNotFoundError: there is no bundle to serve.
        OSError: the address cannot be listened on, or the store of keys not be opened.
    """
    if settings.keys != "off":
        app.state.store.open()
    listening = listen(settings.host, settings.port)
    if settings.keys == "off" and not _is_loopback(settings.host):
        log.warning("everyone who reaches this address can translate: DRAGOMAN_KEYS is off")
    with listening:
        DrainingServer(configuration(app, settings), app, settings.drain_seconds).run([listening])
    started = app.state.library.started
    if started.done():
        started.result()  # raises what kept the models from being loaded


def configuration(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """Return what uvicorn is to do; where it listens is not part of it."""
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        http=BoundedConnection,
        limit_concurrency=settings.max_connections,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        ws="none",
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_graceful_shutdown=LAST_GRACE_SECONDS,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class DrainingServer(uvicorn.Server):
    """Keeps listening while accepted work ends, so that who comes late is told why."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, drain_seconds: float) -> None:
        super().__init__(config)
        self._intake = app.state.intake
        self._library = app.state.library
        self._drain_seconds = drain_seconds
        self._deadline: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say where."""
        await super().startup(sockets)
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        log.info("listening", extra={"host": host, "port": port})

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals, SIGHUP among them; only the main thread can."""
        with super().capture_signals():
            if threading.current_thread() is not threading.main_thread():
                yield
                return
            original = signal.signal(signal.SIGHUP, self.handle_reload)
            try:
                yield
            finally:
                signal.signal(signal.SIGHUP, original)

    def handle_reload(self, sig: int, frame: FrameType | None) -> None:
        """Look for new bundles."""
        self._library.reload()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; the second time, end at once."""
        # Not remembered as uvicorn does, which would raise it again at the end.
        if self._deadline is not None:
            self.should_exit = self.force_exit = True
            return
        self._intake.close()
        self._deadline = time.monotonic() + self._drain_seconds

    async def on_tick(self, counter: int) -> bool:
        """Tell, ten times a second, whether it is time to exit."""
        started = self._library.started
        if started.done() and started.exception():
            self.should_exit = True
        if self._deadline is not None and not self.should_exit:
            is_idle = not self.server_state.tasks
            self.should_exit = is_idle or time.monotonic() >= self._deadline
        return await super().on_tick(counter)
