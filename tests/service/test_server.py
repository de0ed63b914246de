"""The server ends with its models, reloads them, and drains: late work is refused, none lost."""

import asyncio
import signal
import socket
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI

from service.api.dependencies import Intake
from service.server import MAX_HEAD_BYTES, DrainingServer, configuration, listen, serve
from service.settings import Settings

TIMEOUT_SECONDS = 5


@dataclass
class Work:
    """A request that ends when the test lets it."""

    is_started: threading.Event = field(default_factory=threading.Event)
    may_end: threading.Event = field(default_factory=threading.Event)


@dataclass
class EmptyLibrary:
    """A library whose loading ends as the test says."""

    started: Future[None] = field(default_factory=Future)
    num_reloads: int = 0

    def reload(self) -> None:
        self.num_reloads += 1


class WatchedServer(DrainingServer):
    """Says when it listens."""

    def __init__(
        self, app: FastAPI, drain_seconds: float, config: uvicorn.Config | None = None
    ) -> None:
        plain = uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=0)
        super().__init__(config or plain, app, drain_seconds)
        self.is_listening = threading.Event()

    async def startup(self, sockets=None) -> None:
        await super().startup(sockets)
        self.is_listening.set()

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.servers[0].sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.address[1]}"


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def app(work):
    app = FastAPI()
    app.state.intake = Intake()
    app.state.library = EmptyLibrary()

    @app.get("/work")
    async def do() -> str:
        work.is_started.set()
        await asyncio.to_thread(work.may_end.wait, TIMEOUT_SECONDS)
        return "done"

    @app.get("/intake")
    async def intake() -> bool:
        return app.state.intake.is_open

    return app


def start(server: WatchedServer) -> threading.Thread:
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert server.is_listening.wait(TIMEOUT_SECONDS)
    return thread


def ask(url: str, answers: list) -> threading.Thread:
    def get() -> None:
        try:
            answers.append(httpx2.get(url, timeout=TIMEOUT_SECONDS).status_code)
        except httpx2.TransportError as error:
            answers.append(type(error))

    thread = threading.Thread(target=get)
    thread.start()
    return thread


def test_signal_closes_the_intake_and_lets_accepted_work_end(app, work):
    answers: list = []
    server = WatchedServer(app, drain_seconds=TIMEOUT_SECONDS)
    running = start(server)
    asking = ask(server.url + "/work", answers)
    assert work.is_started.wait(TIMEOUT_SECONDS)

    server.handle_exit(15, None)
    late = httpx2.get(server.url + "/intake").json()
    work.may_end.set()
    asking.join(TIMEOUT_SECONDS)
    running.join(TIMEOUT_SECONDS)

    assert late is False
    assert answers == [200]
    assert not running.is_alive()


def test_idle_server_ends_at_the_signal(app):
    server = WatchedServer(app, drain_seconds=3600)
    running = start(server)
    with httpx2.Client() as kept_alive:
        kept_alive.get(server.url + "/intake")

        server.handle_exit(15, None)
        running.join(TIMEOUT_SECONDS)

    assert not running.is_alive()


def test_work_that_outlasts_the_grace_is_cut_off(app, work):
    answers: list = []
    server = WatchedServer(app, drain_seconds=0)
    running = start(server)
    asking = ask(server.url + "/work", answers)
    assert work.is_started.wait(TIMEOUT_SECONDS)

    server.handle_exit(15, None)
    asking.join(TIMEOUT_SECONDS)
    work.may_end.set()
    running.join(TIMEOUT_SECONDS)

    assert answers != [200]
    assert not running.is_alive()


def test_server_answers_while_models_are_loaded_and_ends_if_they_cannot_be(app):
    server = WatchedServer(app, drain_seconds=3600)
    running = start(server)

    answer = httpx2.get(server.url + "/intake")
    app.state.library.started.set_exception(FileNotFoundError("there is no bundle"))
    running.join(TIMEOUT_SECONDS)

    assert answer.status_code == 200
    assert not running.is_alive()


def test_what_kept_the_models_from_being_loaded_is_raised(app):
    app.state.library.started.set_exception(FileNotFoundError("there is no bundle"))

    with pytest.raises(FileNotFoundError, match="there is no bundle"):
        serve(app, Settings(port=0))


def test_hangup_looks_for_new_bundles_and_ends_nothing(app):
    server = WatchedServer(app, drain_seconds=0)
    running = start(server)

    server.handle_reload(1, None)
    answer = httpx2.get(server.url + "/intake")

    assert app.state.library.num_reloads == 1
    assert answer.json() is True
    server.handle_exit(15, None)
    running.join(TIMEOUT_SECONDS)


def test_signal_of_the_process_reaches_the_server(app):
    """In the main thread, where signals are handled, and so without a watcher."""
    library = app.state.library

    @app.get("/hangup")
    async def hang_up() -> int:
        signal.raise_signal(signal.SIGHUP)
        return library.num_reloads

    answers: list[int] = []

    class AskingServer(DrainingServer):
        async def main_loop(self) -> None:
            url = f"http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}"
            async with httpx2.AsyncClient() as client:
                answers.append((await client.get(url + "/hangup")).json())

    before = signal.getsignal(signal.SIGHUP)

    AskingServer(uvicorn.Config(app, port=0, log_config=None), app, 0).run()

    assert answers == [1]
    assert signal.getsignal(signal.SIGHUP) == before


def test_answers_do_not_wait_for_what_the_client_has_received():
    with listen("127.0.0.1", 0) as listening:
        with socket.create_connection(listening.getsockname()):
            accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


class FakeStore:
    """A store that is opened, or cannot be."""

    def __init__(self, failure: OSError | None = None) -> None:
        self._failure = failure

    def open(self) -> None:
        if self._failure:
            raise self._failure


def test_server_that_needs_keys_does_not_start_without_its_store(app):
    app.state.store = FakeStore(PermissionError(13, "Permission denied", "data"))

    with pytest.raises(PermissionError, match="data"):
        serve(app, Settings(port=0, keys="required"))


@pytest.mark.parametrize(
    ("host", "keys", "is_told"),
    [
        ("127.0.0.1", "off", False),
        ("localhost", "off", False),
        ("0.0.0.0", "off", True),
        ("0.0.0.0", "optional", False),
    ],
)
def test_server_that_others_reach_without_keys_says_so(app, caplog, host, keys, is_told):
    app.state.store = FakeStore()
    app.state.library.started.set_exception(FileNotFoundError("there is no bundle"))

    with pytest.raises(FileNotFoundError):
        serve(app, Settings(port=0, host=host, keys=keys))

    assert ("everyone who reaches this address can translate" in caplog.text) == is_told


def test_endless_headers_are_refused_and_others_served(app):
    config = configuration(app, Settings())
    config.port = 0
    server = WatchedServer(app, drain_seconds=0, config=config)
    running = start(server)

    with socket.create_connection(server.address, TIMEOUT_SECONDS) as client:
        client.sendall(b"GET /intake HTTP/1.1\r\nX: " + b"a" * 2 * MAX_HEAD_BYTES)
        refusal = client.recv(100)
    answer = httpx2.get(server.url + "/intake")

    assert refusal.startswith(b"HTTP/1.1 400")
    assert answer.status_code == 200
    server.handle_exit(15, None)
    running.join(TIMEOUT_SECONDS)
