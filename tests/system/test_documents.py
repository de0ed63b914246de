"""A server that is killed while it translates a document goes on where it was."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from tests.system.test_reload import TIMEOUT_SECONDS, Server
from tests.versions import publish_version

pytestmark = pytest.mark.slow

LINES = [f"Das Haus ist klein, aber schön: {i}." for i in range(1500)]


def await_document(url: str, is_far_enough: Callable[[dict], bool]) -> dict:
    ticker = threading.Event()
    for _ in range(20 * TIMEOUT_SECONDS):
        document = httpx2.get(url, timeout=TIMEOUT_SECONDS).json()
        if is_far_enough(document):
            return document
        ticker.wait(0.05)
    raise TimeoutError(f"{document}")


def chunks(data: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in data.rglob("target-*.json")}


def test_killed_server_goes_on_with_the_first_chunk_that_is_not_done(tmp_path, tiny_bundle):
    publish_version(tiny_bundle, tmp_path / "bundles", 1)
    data = tmp_path / "data"
    first = Server(tmp_path / "bundles", data=str(data))
    first.wait_for("ready")
    form = {"source": "de", "target": "en", "beam": "1"}
    file = {"file": ("a.txt", "\n".join(LINES).encode())}
    url = httpx2.post(f"{first.url}/v1/documents", data=form, files=file, timeout=60).json()

    await_document(first.url + url["poll_url"], lambda document: document["progress"]["done"] > 0)
    os.kill(first.process.pid, signal.SIGKILL)
    first.rest()
    before = chunks(data)
    second = Server(tmp_path / "bundles", data=str(data))
    second.wait_for("ready")
    document = await_document(
        second.url + url["poll_url"], lambda document: document["status"] == "done"
    )
    after = chunks(data)
    result = httpx2.get(second.url + document["result_url"], timeout=TIMEOUT_SECONDS)
    end = second.end()

    assert document["progress"] == {"done": len(LINES), "total": len(LINES)}
    assert 0 < len(before) < len(after)
    # Of the chunk that was being done, nothing is known: its file may be there, and is made again.
    kept = sorted(before, key=lambda name: int(name[7:-5]))[:-1]
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert result.text.count("\n") == len(LINES) - 1
    assert end[0] == 0
