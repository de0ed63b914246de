"""A service that dies and comes back: one data folder, one log, a new process for each life."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import httpx2

from models.bundle import Bundle
from tests.versions import publish_version

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 300
"""Far more than anything takes; a machine may be busy with other things."""

PROGRAM = """
import runpy, sys, time
import service.evaluations.intake
import service.evaluations.work
service.evaluations.intake.CHUNK_CHARACTERS = {chunk_characters}
run = service.evaluations.work.EvaluationWork.run

def run_slowly(*arguments):
    time.sleep({chunk_seconds})
    run(*arguments)

service.evaluations.work.EvaluationWork.run = run_slowly
sys.argv[0] = "service"
runpy.run_module("service", run_name="__main__", alter_sys=True)
"""


CHUNK_SECONDS = 0.2
"""At least; else a fast machine is done before a test does anything to it."""

Found = TypeVar("Found")


def wait_until(look: Callable[[], Found | None], seconds: float = TIMEOUT_SECONDS) -> Found:
    """Return what is looked for as soon as it is there."""
    ticker = threading.Event()
    for _ in range(int(10 * seconds)):
        found = look()
        if found:
            return found
        ticker.wait(0.1)
    raise TimeoutError(f"not within {seconds} seconds: {look}")


class Lives:
    """`dragoman serve`, again and again, with a tiny model and small, slow chunks."""

    def __init__(
        self, folder: Path, bundle: Bundle, *, chunk_characters: int = 500, **settings: str
    ) -> None:
        self.folder = folder
        self.data = folder / "data"
        publish_version(bundle, folder / "bundles", 1)
        self._log = folder / "log"
        self._log.touch()
        self._program = PROGRAM.format(
            chunk_characters=chunk_characters, chunk_seconds=CHUNK_SECONDS
        )
        settings = {"device": "cpu", "data": str(self.data), "log_level": "debug"} | settings
        self._settings = {f"DRAGOMAN_{name.upper()}": value for name, value in settings.items()}
        self._begun = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def __enter__(self) -> "Lives":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def begin(self, *prefix: str) -> None:
        """Begin a life without waiting for anything; `prefix` is a command to run it with."""
        self._begun = self._log.stat().st_size
        serve = ["serve", "--port", "0", "--bundles", str(self.folder / "bundles")]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, "-c", self._program, *serve],
                cwd=ROOT,
                env={**os.environ, **self._settings},
                stderr=log,
            )

    def start(self, *prefix: str) -> None:
        """Begin a life, and return when it serves."""
        self.begin(*prefix)
        self.url = f"http://127.0.0.1:{self.wait_for('listening')['port']}"
        self.wait_for("ready")

    def kill(self) -> None:
        """End it as a power cut does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(TIMEOUT_SECONDS)

    def end(self) -> int:
        """End it by SIGTERM; return its exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(TIMEOUT_SECONDS)

    def wait_for(self, event: str) -> dict:
        """Return the first event of this name in this life."""

        def look() -> dict | None:
            found = self.events(event, in_this_life=True)
            if not found and self.process is not None and self.process.poll() is not None:
                raise RuntimeError(f"ended with {self.process.returncode} before {event}")
            return found[0] if found else None

        return wait_until(look)

    def events(self, name: str, *, in_this_life: bool = False) -> list[dict]:
        """Return the events of this name, of all lives or of the last one."""
        since = self._begun if in_this_life else 0
        return [
            json.loads(line)
            for line in self._log.read_bytes()[since:].splitlines()
            # The last line of a life may be a part of one.
            if f'"event": "{name}"'.encode() in line and line.endswith(b"}")
        ]

    def get(self, path: str) -> httpx2.Response:
        return httpx2.get(self.url + path, timeout=TIMEOUT_SECONDS)

    def post(self, path: str, body: dict) -> httpx2.Response:
        return httpx2.post(self.url + path, json=body, timeout=TIMEOUT_SECONDS)
