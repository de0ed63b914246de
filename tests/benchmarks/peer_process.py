"""A contestant in a process of its own, asked over pipes; see `peer_runners/protocol.py`."""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from statistics import median
from typing import Any, Self

from peer_contestants import Contestant
from peer_runners.protocol import TARGET_TOKENS

RUNNERS = Path(__file__).parent / "peer_runners"
ROOT = Path(__file__).parents[2]

# Every library that a contestant uses has its own name for the same thing.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class Failed(Exception):
    """A contestant ended or did other work than it was asked for; the message says how."""


class Process:
    """A running contestant."""

    def __init__(self, contestant: Contestant, python: Path, threads: int) -> None:
        variables = dict.fromkeys(THREADS, str(threads)) | dict(contestant.variables)
        if contestant.environment is None:
            variables["PYTHONPATH"] = str(ROOT)
        self._label = contestant.label
        self._folder = tempfile.TemporaryDirectory()
        self._errors = Path(self._folder.name, "errors")
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                [python, RUNNERS / contestant.runner, str(threads)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=os.environ | variables,
            )
        self.cpu_shares: list[float] = []
        """Share of each measurement's time in which its thread, or all of them, really ran."""
        self._threads = threads
        try:
            self.facts: dict[str, Any] = self._read()
            """What it said of itself."""
        except Failed:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def measure(self, width: int, batch: int, seconds: float, clock: str) -> float:
        """Let it translate for so long; return the sentences a second.

        Args:
            clock: `wall`, or `cpu` for the seconds that it ran.

        Raises:
            Failed: it ended, or a target was not as long as it must be.
        """
        question = {"width": width, "batch": batch, "seconds": seconds}
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # what it said last tells more
        answer = self._read()
        if answer["lengths"] != [TARGET_TOKENS]:
            lengths = answer["lengths"]
            raise Failed(f"{self._label} gave targets of {lengths} instead of {TARGET_TOKENS}")
        share = sum(answer["cpu_seconds"]) / sum(answer["seconds"]) / self._threads
        self.cpu_shares.append(share)
        times = answer["cpu_seconds" if clock == "cpu" else "seconds"]
        return answer["sentences"] / median(times)

    def close(self) -> None:
        """End it."""
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._folder.cleanup()

    def _read(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            errors = self._errors.read_text(encoding="utf-8", errors="replace")
            said = errors.strip().splitlines() or ["nothing"]
            raise Failed(f"{self._label} ended: {said[-1]}")
        return json.loads(line)
