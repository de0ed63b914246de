"""A server whose disk is full, or whose database is gone, says so, waits, and goes on."""

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.postgres import Postgres, running_postgres
from tests.system.lives import Lives, wait_until

pytestmark = pytest.mark.slow

OUTAGE_SECONDS = 60.0
LINES = [f"Das Haus {i} ist klein, aber schön." for i in range(600)]
REQUEST = {
    "pair": "de-en",
    "source": LINES,
    "references": LINES,
    "decode": {"beam": 1},
    "confidence": {"n": 0},
}


def submit(lives: Lives) -> str:
    """Submit an evaluation, and return its path when some of it is done."""
    answer = lives.post("/v1/evaluations", REQUEST)
    assert answer.status_code == 202, answer.text
    path = answer.json()["poll_url"]
    wait_until(lambda: lives.get(path).json()["progress"]["done"])
    return path


def await_end(lives: Lives, path: str) -> dict:
    def look() -> dict | None:
        body = lives.get(path).json()
        return body if body.get("status") not in (None, "queued", "running") else None

    return wait_until(look)


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    with running_postgres() as postgres:
        yield postgres


@pytest.fixture
def lives_on_postgres(tmp_path, tiny_bundle, postgres) -> Iterator[Lives]:
    with Lives(tmp_path, tiny_bundle, database=postgres.url) as lives:
        yield lives


@pytest.fixture
def lives(tmp_path, tiny_bundle) -> Iterator[Lives]:
    with Lives(tmp_path, tiny_bundle) as lives:
        yield lives


def test_job_goes_on_after_its_database_was_gone_for_a_minute(postgres, lives_on_postgres):
    lives = lives_on_postgres
    lives.start()
    path = submit(lives)

    postgres.stop()
    gone = time.monotonic()
    ticker, slowest = threading.Event(), 0.0
    while time.monotonic() < gone + OUTAGE_SECONDS:
        asked = time.monotonic()
        for answer in (
            lives.get(path),
            lives.post("/v1/evaluations", REQUEST),
            httpx2.delete(lives.url + path, timeout=30),
        ):
            assert code_of(answer) == (503, "store_unavailable")
        slowest = max(slowest, time.monotonic() - asked)
        translated = lives.post(
            "/v1/translate", {"text": "Guten Morgen.", "source": "de", "target": "en"}
        )
        assert translated.status_code == 200
        ticker.wait(1.0)
    postgres.start()
    body = await_end(lives, path)

    assert (body["status"], body["progress"]["done"]) == ("done", len(LINES))
    assert slowest < 15
    assert lives.get(f"{path}/hypotheses.txt").content.count(b"\n") == len(LINES)
    assert lives.end() == 0


def test_server_ends_while_its_database_is_gone(postgres, lives_on_postgres):
    lives = lives_on_postgres
    lives.start()
    path = submit(lives)
    postgres.stop()

    assert lives.end() == 0

    postgres.start()
    lives.start()
    assert await_end(lives, path)["status"] == "done"
    assert lives.end() == 0


@pytest.fixture
def small_disk(tmp_path) -> list[str]:
    """A command that gives what it runs a data folder on a small disk of its own."""
    (tmp_path / "data").mkdir()
    script = f'mount -t tmpfs -o size=3m tmpfs {tmp_path}/data && exec "$@"'
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    if not shutil.which("unshare") or subprocess.run([*command, "true"], check=False).returncode:
        pytest.skip("this machine lets no test have a disk of its own")
    return command


def seen(lives: Lives) -> Path:
    """Return the data folder as the server sees it."""
    return Path(f"/proc/{lives.process.pid}/root{lives.data}")


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for size in (65_536, 4_096, 1):
            try:
                while file.write(b"0" * size) == size:
                    pass
            except OSError:
                continue


def test_job_waits_while_the_disk_is_full_and_goes_on(lives, small_disk):
    lives.start(*small_disk)
    path = submit(lives)

    fill(seen(lives) / "filler")
    lives.wait_for("job waits")
    body = lives.get(path).json()
    refused = lives.post("/v1/evaluations", REQUEST)
    (seen(lives) / "filler").unlink()
    ended = await_end(lives, path)

    assert body["status"] == "running"
    assert code_of(refused) == (503, "store_unavailable")
    assert "the disk is full" in refused.json()["error"]["message"]
    assert (ended["status"], ended["progress"]["done"]) == ("done", len(LINES))
    assert lives.get(f"{path}/hypotheses.txt").content.count(b"\n") == len(LINES)
    assert lives.end() == 0


def test_job_is_deleted_while_the_disk_is_full(lives, small_disk):
    lives.start(*small_disk)
    path = submit(lives)
    fill(seen(lives) / "filler")
    lives.wait_for("job waits")

    # There may be no room to say so in the database; what is asked for is then refused, not lost.
    answer = httpx2.delete(lives.url + path, timeout=30)
    (seen(lives) / "filler").unlink()
    if answer.status_code != 204:
        assert code_of(answer) == (503, "store_unavailable")
        assert httpx2.delete(lives.url + path, timeout=30).status_code == 204

    assert lives.get(path).status_code == 404
    assert lives.end() == 0
