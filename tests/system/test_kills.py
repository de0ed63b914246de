"""An evaluation whose server is killed twenty times ends as if nothing had happened.

    pytest -m slow tests/system/test_kills.py

prints how often the server was killed, how many chunks were run, and how many of them twice.
"""

import random
import secrets
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass

import pytest

from tests.postgres import running_postgres
from tests.system.lives import Lives, wait_until

pytestmark = pytest.mark.slow

KILLS = 20
LINES = [f"Das Haus {i} ist klein, aber schön." for i in range(1500)]
REFERENCES = [f"The house {i} is small but beautiful." for i in range(len(LINES))]
REQUEST = {
    "pair": "de-en",
    "source": LINES,
    "references": REFERENCES,
    "decode": {"beam": 1},
    "confidence": {"n": 100},
    "idempotency_key": "once",
}
TIMES = {"job_id", "created", "started", "finished", "performance"}
"""What of a report is not the same in two runs."""


@dataclass(frozen=True)
class Outcome:
    """What an evaluation came to."""

    hypotheses: bytes
    report: dict
    chunks: int
    chunk_seconds: float


def finish(lives: Lives, path: str) -> dict:
    def look() -> dict | None:
        body = lives.get(path).json()
        return body if body["status"] not in ("queued", "running") else None

    return wait_until(look)


def collect(lives: Lives, path: str, chunk_seconds: float = 0.0) -> Outcome:
    body = finish(lives, path)
    assert body["status"] == "done", body
    assert body["progress"] == {"done": len(LINES), "total": len(LINES)}
    report = lives.get(f"{path}/report.json").json()
    hypotheses = lives.get(f"{path}/hypotheses.txt").content
    same = {name: value for name, value in report.items() if name not in TIMES}
    return Outcome(hypotheses, same, len(chunks(lives, "done")), chunk_seconds)


def chunks(lives: Lives, what: str, *, in_this_life: bool = False) -> Counter[int]:
    """Count for each chunk how often it began or was done."""
    events = lives.events(f"chunk {what}", in_this_life=in_this_life)
    return Counter(each["chunk"] for each in events)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, tiny_bundle) -> Outcome:
    with Lives(tmp_path_factory.mktemp("undisturbed"), tiny_bundle) as lives:
        lives.start()
        path = lives.post("/v1/evaluations", REQUEST).json()["poll_url"]
        lives.wait_for("chunk begins")
        begun = time.monotonic()
        wait_until(lambda: lives.get(path).json()["progress"]["done"] == len(LINES))
        seconds = time.monotonic() - begun
        outcome = collect(lives, path, seconds / len(chunks(lives, "done")))
        assert lives.end() == 0
    assert outcome.chunks > 4 * KILLS
    return outcome


@pytest.fixture(params=["sqlite", "postgres"])
def lives(request, tmp_path, tiny_bundle):
    if request.param == "sqlite":
        with Lives(tmp_path, tiny_bundle) as lives:
            yield lives
        return
    with (
        running_postgres() as postgres,
        Lives(tmp_path, tiny_bundle, database=postgres.url) as lives,
    ):
        yield lives


def live_for(lives: Lives, chance: random.Random, undisturbed: Outcome) -> None:
    """Live for some chunks and a part of one; now and then, not even until it serves."""
    if chance.random() < 0.2:
        lives.begin()
        threading.Event().wait(chance.uniform(0.0, 4.0))
        return
    lives.start()
    lives.wait_for("jobs ready")
    # Some three in the mean, so that the last of the kills still find it under way.
    most = chance.randint(0, undisturbed.chunks // KILLS + 1)
    wait_until(lambda: chunks(lives, "begins", in_this_life=True).total() >= most)
    threading.Event().wait(chance.uniform(0.0, 2 * undisturbed.chunk_seconds))


def test_evaluation_survives_twenty_kills(lives, undisturbed, capsys):
    seed = secrets.randbits(32)
    chance = random.Random(seed)
    lives.start()
    path = lives.post("/v1/evaluations", REQUEST).json()["poll_url"]
    lives.kill()  # at the first moment at which it must not be lost

    for _ in range(KILLS - 2):
        live_for(lives, chance, undisturbed)
        lives.kill()
    left = undisturbed.chunks - len(chunks(lives, "done"))
    lives.start()
    wait_until(lambda: lives.get(path).json()["progress"]["done"] == len(LINES))
    lives.kill()  # while it is scored
    lives.start()
    again = lives.post("/v1/evaluations", REQUEST).json()["poll_url"]
    outcome = collect(lives, path)
    status = lives.end()

    begun, done = chunks(lives, "begins"), chunks(lives, "done")
    twice = sum(number > 1 for number in done.values())
    with capsys.disabled():
        sys.stdout.write(
            f"\n{KILLS} kills (seed {seed}), all but the last with {left} chunks or more to do: "
            f"{len(done)} chunks, begun {begun.total()} times, ended {done.total()} times, "
            f"{twice} of them more than once\n"
        )
    assert left > 0
    assert again == path
    assert status == 0
    assert outcome.hypotheses == undisturbed.hypotheses
    assert outcome.report == undisturbed.report
    assert outcome.hypotheses.count(b"\n") == outcome.report["sentences"] == len(LINES)
    assert sorted(done) == list(range(undisturbed.chunks))
    # A kill costs at most the chunk that it interrupts.
    assert begun.total() <= undisturbed.chunks + KILLS
