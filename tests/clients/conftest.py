"""A real server on loopback, for clients that know nothing of this project."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace

import deepl
import pytest
import uvicorn
from deepl import http_client

from service.access import KeyScope
from service.app import create_app
from service.engine import open_translator
from service.keyring import new_key
from service.server import DrainingServer, listen
from service.settings import Settings
from service.store import Allowance, Keys, Store

TIMEOUT_SECONDS = 30


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """Serve in a thread; yield the address."""
    app = create_app(settings)
    with listen("127.0.0.1", 0) as listening:
        config = uvicorn.Config(app, log_config=None, access_log=False)
        server = DrainingServer(config, app, drain_seconds=0)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            app.state.library.started.result(TIMEOUT_SECONDS)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.handle_exit(15, None)
            thread.join(TIMEOUT_SECONDS)
    assert not thread.is_alive()


@pytest.fixture(scope="session")
def settings_with(tiny_bundle, tmp_path_factory) -> Callable[..., Settings]:
    """Settings of a server of the tiny bundle, de-en and en-de, with a folder of its own."""

    def build(**given) -> Settings:
        return Settings(
            bundles=tiny_bundle.path.parents[1],
            data=tmp_path_factory.mktemp("data"),
            device="cpu",
            workers=1,
            reload_seconds=0,
            **given,
        )

    return build


# Not longer than a module, for DBOS is global in a process: of two servers with jobs the second has
# them all.


@pytest.fixture(scope="module")
def server(settings_with) -> Iterator[str]:
    """The address of a server that anyone may use."""
    with serving(settings_with()) as url:
        yield url


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """A headless Chromium; its profile and its downloads are its own."""
    from tests.clients.browser import start_browser  # noqa: PLC0415  # skips without Selenium

    driver = start_browser(tmp_path_factory.mktemp("browser"))
    yield driver
    driver.quit()


@dataclass(frozen=True)
class KeyedServer:
    """A server that wants keys, and the means to make some."""

    url: str
    keys: Keys

    def make(self, *scopes: KeyScope, **allowance: int) -> str:
        key, record = new_key("test", scopes, Allowance(**allowance), datetime.now(UTC), None)
        self.keys.add(record)
        return key


@pytest.fixture(scope="module")
def keyed_server(settings_with) -> Iterator[KeyedServer]:
    """A server that nobody may use without a key."""
    settings = settings_with(keys="required")
    store = Store(settings.data_folder)
    with serving(settings) as url:
        yield KeyedServer(url, Keys(store))
    store.close()


@pytest.fixture(scope="module")
def engine(tiny_bundle) -> Iterator[Callable[[str, str, str], str]]:
    """What the engine itself makes of a text: the arguments are text, source and target."""
    pairs = [("de", "en"), ("en", "de")]
    translators = {pair: open_translator(tiny_bundle.path, pair) for pair in pairs}

    def translate(text: str, source: str, target: str) -> str:
        return next(translators[source, target].translate_all([text])).text

    yield translate
    for translator in translators.values():
        translator.close()


@pytest.fixture
def impatience(monkeypatch):
    """Else the client of DeepL would try five times what can be tried again, each time later, and
    look every 5 s for a document.
    """
    monkeypatch.setattr(http_client, "max_network_retries", 0)
    monkeypatch.setattr(http_client, "min_connection_timeout", 30.0)
    shortly = SimpleNamespace(time=time.time, sleep=lambda seconds: time.sleep(seconds / 100))
    monkeypatch.setattr(deepl.translator, "time", shortly)


@pytest.fixture
def connect(impatience):
    """Make a client of DeepL for a server, by a key."""
    clients = []

    def make(url, key="any"):
        clients.append(deepl.DeepLClient(key, server_url=url))
        return clients[-1]

    yield make
    for client in clients:
        client.close()
