"""A server whose only model writes capitals: what it costs is what everything but a model does.

python -m tests.system.capitals_server --data FOLDER [--pause SECONDS]
"""

import argparse
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager

from service.app import create_app
from service.engine import Translation, TranslationOptions
from service.errors import UnsupportedPair
from service.logs import configure
from service.server import serve
from service.settings import Settings


class Capitals:
    """German to English; it is its own library, models and translator."""

    has_started = is_alive = True

    def __init__(self, pause_seconds: float) -> None:
        self.started: Future[None] = Future()
        self._pause_seconds = pause_seconds

    def start(self) -> None:
        self.started.set_result(None)

    def pin(self, versions: Mapping[str, str]) -> Future[None]:
        """There is only one version."""
        return self.started

    def serving(self) -> dict[str, str]:
        return {}

    @contextmanager
    def hold(self) -> Iterator["Capitals"]:
        yield self

    def find(self, source: str, target: str) -> "Capitals":
        if (source, target) != ("de", "en"):
            raise UnsupportedPair(f"{source}-{target} is not served")
        return self

    def translate_all(
        self, texts: Iterable[str], options: TranslationOptions
    ) -> Iterator[Translation]:
        time.sleep(self._pause_seconds)
        for text in texts:
            yield Translation(text.upper(), "de", "en", "capitals/1", -1.0, "eos", [])

    def reload(self) -> None:
        """There is nothing to look for."""

    def close(self, timeout_seconds: float) -> None:
        """Nothing runs."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--pause", type=float, default=0.0, help="before each piece")
    arguments = parser.parse_args()
    settings = Settings(data=arguments.data, port=0)
    configure(settings.log_level, settings.log_format)
    serve(create_app(settings, Capitals(arguments.pause)), settings)


if __name__ == "__main__":
    main()
