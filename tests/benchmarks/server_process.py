"""The real server, in a process of its own, and what can be seen of it from outside."""

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from report import ticks_a_second

ROOT = Path(__file__).parents[2]
BUSY = ("dragoman_rows", "dragoman_waiting_sentences")
START_SECONDS = 60.0
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class ServerProcess:
    """A server that listens."""

    pid: int
    port: int

    def cpu_seconds(self) -> float:
        """Return the CPU time that it has used."""
        # The name, second, may hold spaces; user and system time are the 14th and 15th.
        text = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8")
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / ticks_a_second()

    def resident_mb(self) -> float:
        """Return the memory that it holds."""
        return resident_mb(self.pid)

    def metrics(self) -> dict[str, float]:
        """Return its metrics, each summed over its labels."""
        url = f"http://127.0.0.1:{self.port}/metrics"
        with urllib.request.urlopen(url) as answer:
            return totals(text_string_to_metric_families(answer.read().decode()))

    def await_idle(self) -> None:
        """Wait until nothing is being translated any more, for those who hung up neither."""
        while any(self.metrics().get(name) for name in BUSY):
            time.sleep(0.05)


def totals(families: Iterable[Metric]) -> dict[str, float]:
    """Return metrics by name, each summed over its labels."""
    found: dict[str, float] = defaultdict(float)
    for family in families:
        for sample in family.samples:
            found[sample.name] += sample.value
    return dict(found)


def resident_mb(pid: int | str = "self", name: str = "VmRSS") -> float:
    """Return the memory that a process holds, in MB of 1,000,000 bytes."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").split("\n"):
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ValueError(f"process {pid} has no {name}")


@contextmanager
def serving(bundles: Path, *flags: str) -> Iterator[ServerProcess]:
    """Start `dragoman serve` on a free port, and end it afterwards."""
    command = [sys.executable, "-m", "service", "serve", "--port", "0", "--bundles", str(bundles)]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as stream:
            # As in production every request is logged; to a file, for reading would cost.
            process = subprocess.Popen([*command, *flags], cwd=ROOT, stderr=stream)
        try:
            yield ServerProcess(process.pid, wait_for_port(process, log))
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for_port(process: subprocess.Popen, log: Path) -> int:
    """Return the port that a server says it listens on."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        for line in log.read_text(encoding="utf-8").split("\n")[:-1]:
            event = json.loads(line)
            if event["event"] == "listening":
                return int(event["port"])
        time.sleep(0.05)
    raise RuntimeError(f"the server did not start:\n{log.read_text(encoding='utf-8')[-2000:]}")
