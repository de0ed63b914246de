"""The web server around the application, and how it ends.

The first SIGTERM or SIGINT closes the intake: from then on `/readyz` and new work are
answered with 503, while what was accepted goes on. The server exits, with status 0, as soon
as no request is under way, or after `drain_seconds`; a second signal ends it at once.
`dragoman serve` calls `serve`, and this module is the only one that knows uvicorn.
"""

import logging
import socket
import time
from types import FrameType

import uvicorn
from fastapi import FastAPI

from service.settings import Settings

log = logging.getLogger(__name__)

LAST_GRACE_SECONDS = 1
"""Given to requests that are cancelled at the end, to answer."""


def serve(app: FastAPI, settings: Settings) -> None:
    """Listen until a signal comes, then drain and return.

    Raises:
        OSError: the address cannot be listened on.
    """
    # uvicorn would end the process by itself if the address is taken
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=LAST_GRACE_SECONDS,
    )
    with listening:
        DrainingServer(config, app, settings.drain_seconds).run([listening])


class DrainingServer(uvicorn.Server):
    """Keeps listening while accepted work ends, so that who comes late is told why."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, drain_seconds: float) -> None:
        super().__init__(config)
        self._intake = app.state.intake
        self._drain_seconds = drain_seconds
        self._deadline: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say where."""
        await super().startup(sockets)
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        log.info("listening", extra={"host": host, "port": port})

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
        if self._deadline is not None and not self.should_exit:
            is_idle = not self.server_state.tasks
            self.should_exit = is_idle or time.monotonic() >= self._deadline
        return await super().on_tick(counter)
