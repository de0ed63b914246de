"""A real server over sockets: whoever keeps it waiting is cut off, and nobody else notices."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from service import connections
from service.server import MAX_HEAD_BYTES, configuration
from service.settings import Settings
from tests.service.test_server import TIMEOUT_SECONDS, EmptyLibrary, Intake, WatchedServer, start

MAX_CONNECTIONS = 4
SHORT_SECONDS = 0.3
HEAD = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse((await request.body()).decode())


async def hasty(request: Request) -> PlainTextResponse:
    """Answer without a look at the body."""
    return PlainTextResponse("done")


async def think(request: Request) -> PlainTextResponse:
    """Take longer than clients may."""
    await asyncio.sleep(3 * SHORT_SECONDS)
    return PlainTextResponse("thought")


async def flood(request: Request) -> StreamingResponse:
    async def pieces():
        try:
            while True:
                yield b"x" * 65536
                await asyncio.sleep(0)
        finally:
            request.app.state.is_over.set()

    return StreamingResponse(pieces())


@pytest.fixture
def server(monkeypatch) -> Iterator[WatchedServer]:
    monkeypatch.setattr(connections, "HEAD_SECONDS", SHORT_SECONDS)
    monkeypatch.setattr(connections, "PROGRESS_SECONDS", SHORT_SECONDS)
    routes = {"/echo": echo, "/think": think, "/hasty": hasty, "/flood": flood}
    app = Starlette(routes=[Route(path, call, methods=["POST"]) for path, call in routes.items()])
    app.state.intake, app.state.library = Intake(), EmptyLibrary()
    app.state.is_over = threading.Event()
    settings = Settings(port=0, max_connections=MAX_CONNECTIONS)
    config = configuration(app, settings)
    config.port = 0
    server = WatchedServer(app, drain_seconds=0, config=config)
    running = start(server)
    yield server
    server.handle_exit(15, None)
    running.join(TIMEOUT_SECONDS)
    assert not running.is_alive()


def connect(server: WatchedServer) -> socket.socket:
    return socket.create_connection(server.address, TIMEOUT_SECONDS)


def read_to_end(client: socket.socket) -> bytes:
    """Return all that comes until the server closes; a reset closes too, a wait fails."""
    found = b""
    try:
        while piece := client.recv(65536):
            found += piece
    except ConnectionResetError:
        pass
    return found


def post(server: WatchedServer, path: str = "/echo") -> httpx2.Response:
    return httpx2.post(server.url + path, content=b"body", timeout=TIMEOUT_SECONDS)


@pytest.mark.parametrize("sent", [b"", b"POST", HEAD, HEAD + b"X-More: "])
def test_head_that_does_not_come_is_not_waited_for(server, sent):
    with connect(server) as client:
        client.sendall(sent)

        assert read_to_end(client) == b""
    assert post(server).text == "body"


def test_head_that_comes_byte_by_byte_is_not_waited_for_either(server):
    gap = threading.Event()
    with connect(server) as client:
        for byte in HEAD * 3:
            try:
                client.sendall(bytes([byte]))
            except (ConnectionResetError, BrokenPipeError):
                break
            gap.wait(SHORT_SECONDS / 10)
        else:
            pytest.fail("the server took every byte")


def test_second_request_of_a_connection_has_no_longer_for_its_head(server):
    with connect(server) as client:
        client.sendall(HEAD + b"\r\nbody")
        answer = b""
        while not answer.endswith(b"body"):
            answer += client.recv(65536)
        client.sendall(b"POST /echo")

        assert read_to_end(client) == b""  # in less time than an idle connection is kept
    assert post(server).text == "body"


def test_body_that_does_not_come_is_not_waited_for(server):
    with connect(server) as client:
        client.sendall(HEAD + b"\r\nbo")

        assert read_to_end(client) == b""


def test_body_that_goes_on_behind_its_answer_is_not_read_for_ever(server, monkeypatch):
    monkeypatch.setattr(connections, "LINGER_SECONDS", SHORT_SECONDS)
    monkeypatch.setattr(connections, "PROGRESS_SECONDS", TIMEOUT_SECONDS)
    gap = threading.Event()
    with connect(server) as client:
        client.sendall(b"POST /hasty HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
        for _ in range(100):
            try:
                client.sendall(b"a")
            except (ConnectionResetError, BrokenPipeError):
                break
            gap.wait(SHORT_SECONDS / 10)
        else:
            pytest.fail("the server took every byte")


@pytest.mark.parametrize("size", [2 * MAX_HEAD_BYTES, 4 * MAX_HEAD_BYTES])
def test_head_that_is_too_large_is_refused_even_if_it_comes_at_once(server, size):
    with connect(server) as client:
        client.sendall(HEAD + b"X: " + b"a" * size + b"\r\n\r\nbody")

        assert read_to_end(client)[:12] in (b"HTTP/1.1 400", b"")


def test_slow_body_that_goes_on_coming_is_taken(server):
    gap = threading.Event()
    with connect(server) as client:
        client.sendall(HEAD + b"Connection: close\r\n\r\n")
        for byte in b"body":
            gap.wait(SHORT_SECONDS / 2)
            client.sendall(bytes([byte]))

        assert read_to_end(client).endswith(b"body")


def test_answer_that_takes_longer_than_clients_may_comes(server):
    assert post(server, "/think").text == "thought"


def test_client_that_does_not_read_is_cut_off_and_its_work_ends(server):
    with connect(server) as client:
        client.sendall(b"POST /flood HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")

        assert server.config.app.state.is_over.wait(TIMEOUT_SECONDS)


def test_connections_beyond_the_limit_are_told_to_come_again(server, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", TIMEOUT_SECONDS)
    held = [connect(server) for _ in range(MAX_CONNECTIONS)]
    for client in held:  # so that all of them are known to be there
        client.sendall(HEAD + b"\r\nbody")
        assert client.recv(65536).startswith(b"HTTP/1.1 200")

    refusal = post(server)
    for client in held:
        client.close()
    assert (refusal.status_code, refusal.headers["Retry-After"]) == (503, "1")
    assert refusal.text == "too many connections now"
    assert wait_until_served(server) == "body"


def wait_until_served(server: WatchedServer) -> str:
    ticker = threading.Event()
    for _ in range(100):
        answer = post(server)
        if answer.status_code == 200:
            return answer.text
        ticker.wait(0.05)
    raise TimeoutError
