"""HTTP/1.1 as bytes: a client that sends whatever it is told, and costs little."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

PATIENCE_SECONDS = 60.0
"""Far more than any answer takes; who waits longer is stuck."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def request(
    method: str, path: str, body: bytes | dict | list = b"", headers: dict[str, str] | None = None
) -> bytes:
    """Write a request; what is no bytes is sent as JSON."""
    fields = {"Host": "test"} | (headers or {})
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
        fields = {"Content-Type": "application/json"} | fields
    if body:
        fields["Content-Length"] = str(len(body))
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Connection:
    """One connection to a server on this machine, opened when something is sent."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, *parts: bytes, pause_seconds: float = 0.0) -> None:
        """Send the parts, with a pause between two."""
        for i, part in enumerate(parts):
            if i:
                await asyncio.sleep(pause_seconds)
            _, writer = await self._open()
            writer.write(part)
            await writer.drain()

    async def read(self) -> Answer:
        """Read one answer."""
        reader, _ = await self._open()
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        pairs = (line.split(": ", 1) for line in lines)
        headers = {name.lower(): value for name, value in pairs}
        body = b""
        if headers.get("transfer-encoding") == "chunked":
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readexactly(2)
        else:
            body = await reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection") == "close":
            self.close()
        return Answer(int(first.split()[1]), headers, body)

    async def ask(self, *parts: bytes, pause_seconds: float = 0.0) -> Answer:
        """Send a request and read its answer; again once if the server had closed meanwhile."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            is_fresh = self._streams is None
            try:
                await self.send(*parts, pause_seconds=pause_seconds)
                return await self.read()
            except (asyncio.IncompleteReadError, ConnectionError):
                self.close()
                if is_fresh:
                    raise
            await self.send(*parts, pause_seconds=pause_seconds)
            return await self.read()

    async def read_to_end(self, seconds: float = PATIENCE_SECONDS) -> bytes:
        """Read all that comes until the server closes; TimeoutError if it does not."""
        reader, _ = await self._open()
        async with asyncio.timeout(seconds):
            try:
                return await reader.read(-1)
            except ConnectionError:
                return b""

    def close(self) -> None:
        """Go away, whatever is under way."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        return self._streams
