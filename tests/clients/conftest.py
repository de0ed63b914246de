"""A real server on loopback, for clients that know nothing of this project."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import uvicorn

from service.app import create_app
from service.engine import open_translator
from service.server import DrainingServer, listen
from service.settings import Settings

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


@pytest.fixture(scope="session")
def server(settings_with) -> Iterator[str]:
    """The address of a server that anyone may use."""
    with serving(settings_with()) as url:
        yield url


@pytest.fixture(scope="session")
def engine(tiny_bundle) -> Iterator[Callable[[str, str, str], str]]:
    """What the engine itself makes of a text: the arguments are text, source and target."""
    pairs = [("de", "en"), ("en", "de")]
    translators = {pair: open_translator(tiny_bundle.path, pair) for pair in pairs}

    def translate(text: str, source: str, target: str) -> str:
        return next(translators[source, target].translate_all([text])).text

    yield translate
    for translator in translators.values():
        translator.close()
