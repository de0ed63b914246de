"""`dragoman serve` in a process of its own that tells what it holds: memory, files, tasks, rows."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.system.lives import wait_until

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 120

# At SIGUSR1 it counts the objects that a request leaves behind if it never ends.
PROGRAM = """
import asyncio, collections, gc, json, os, runpy, signal, sys

NAMES = {"Future", "Sentence", "Task", "Record", "RequestResponseCycle", "_InFlight", "Work"}

def count(*_):
    gc.collect()
    found = collections.Counter(type(each).__name__ for each in gc.get_objects())
    census = json.dumps({name: found[name] for name in sorted(NAMES)})
    with open(os.environ["CENSUS"] + ".new", "w") as file:
        file.write(census)
    os.replace(os.environ["CENSUS"] + ".new", os.environ["CENSUS"])

signal.signal(signal.SIGUSR1, count)
sys.argv[0] = "service"
runpy.run_module("service", run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True)
class Holdings:
    """What an idle server holds."""

    resident_mb: float
    files: dict[str, int]
    """Open file handles, by what they lead to: a path, or a kind as `socket`."""
    threads: int
    objects: dict[str, int]
    """Futures, tasks and the like, by the name of their class."""
    database_rows: int
    """Of all tables of jobs."""
    job_files: int
    decoding_rows: float
    waiting: float


class WatchedServer:
    """A server; its settings are those of the keywords."""

    def __init__(self, folder: Path, bundles: Path, **settings: str) -> None:
        self.data, self._census, self._log = folder / "data", folder / "census", folder / "log"
        variables = {"device": "cpu", "data": str(self.data)} | settings
        self._number = 0
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, "serve", "--port", "0", "--bundles", str(bundles)],
                cwd=ROOT,
                env={
                    **os.environ,
                    "CENSUS": str(self._census),
                    **{f"DRAGOMAN_{name.upper()}": value for name, value in variables.items()},
                },
                stderr=log,
            )
        self.port = int(self.wait_for("listening")["port"])
        self.url = f"http://127.0.0.1:{self.port}"
        self.wait_for("ready")

    def __enter__(self) -> "WatchedServer":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(TIMEOUT_SECONDS)

    def events(self) -> list[dict]:
        lines = self._log.read_bytes().splitlines()
        return [json.loads(line) for line in lines if line.startswith(b"{") and line[-1:] == b"}"]

    def wait_for(self, event: str) -> dict:
        """Return the first event of this name."""

        def look() -> dict | None:
            if self.process.poll() is not None:
                raise RuntimeError(self._log.read_text(encoding="utf-8")[-2000:])
            return next((each for each in self.events() if each["event"] == event), None)

        return wait_until(look, TIMEOUT_SECONDS)

    def end(self) -> int:
        """End it by SIGTERM; return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(TIMEOUT_SECONDS)

    def resident_mb(self) -> float:
        text = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(re.findall(r"VmRSS:\s+(\d+)", text)[0]) * 1024 / 1e6

    def total(self, series: str) -> float:
        """Return a series of its metrics, summed over its labels."""
        text = httpx2.get(f"{self.url}/metrics", timeout=TIMEOUT_SECONDS).text
        found = re.findall(rf"^{series}(?:{{.*}})? (\S+)$", text, re.MULTILINE)
        return sum(map(float, found))

    def holdings(self) -> Holdings:
        """Tell what it holds, once nothing is translated and no connection is open."""
        wait_until(lambda: not self.total("dragoman_rows"), TIMEOUT_SECONDS)
        wait_until(lambda: not self._sockets(), TIMEOUT_SECONDS)
        return Holdings(
            resident_mb=self.resident_mb(),
            files=self._count_files(),
            threads=len(list(Path(f"/proc/{self.process.pid}/task").iterdir())),
            objects=self._count_objects(),
            database_rows=self._count_rows(),
            job_files=len([path for path in self.data.glob("*/*") if path.is_dir()]),
            decoding_rows=self.total("dragoman_rows"),
            waiting=self.total("dragoman_waiting_sentences"),
        )

    def _sockets(self) -> int:
        """Return how many connections of clients it has."""
        local = f":{self.port:04X} "
        lines = Path("/proc/net/tcp").read_text(encoding="utf-8").splitlines()[1:]
        return sum(local in line.split(": ")[1][:14] and " 01 " in line[:40] for line in lines)

    def _count_files(self) -> dict[str, int]:
        found: Counter[str] = Counter()
        for handle in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed since
                found[str(handle.readlink()).split(":[")[0]] += 1
        return dict(found)

    def _count_objects(self) -> dict[str, int]:
        self._census.unlink(missing_ok=True)
        self.process.send_signal(signal.SIGUSR1)
        text = wait_until(
            lambda: self._census.exists() and self._census.read_text("utf-8"), TIMEOUT_SECONDS
        )
        return json.loads(text)

    def _count_rows(self) -> int:
        found = 0
        for path in self.data.glob("*.sqlite*"):
            if path.suffix in (".sqlite", ".sqlite3", ".db"):
                found += count_rows(path)
        return found


def count_rows(path: Path) -> int:
    """Return the rows of all tables of a SQLite file."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        names = [
            name
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        return sum(
            database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names
        )
