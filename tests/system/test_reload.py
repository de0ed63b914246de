"""A server in a process of its own loads, reloads and ends by the signals of an operator."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.versions import hold_back, publish_damaged, publish_version

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 60
BODY = {"text": ["Guten Morgen.", "Das Haus.", "Hund!"] * 4, "source": "de", "target": "en"}


class Server:
    """`dragoman serve` on a free port, and what it logs."""

    def __init__(self, bundles: Path, **settings: str) -> None:
        variables = {f"DRAGOMAN_{name.upper()}": value for name, value in settings.items()}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "service", "serve", "--port", "0", "--bundles", str(bundles)],
            cwd=ROOT,
            env={**os.environ, "DRAGOMAN_DEVICE": "cpu", **variables},
            stderr=subprocess.PIPE,
            text=True,
        )
        self._guard = threading.Timer(TIMEOUT_SECONDS, self.process.kill)
        self._guard.start()
        self.url = f"http://127.0.0.1:{self.wait_for('listening')['port']}"

    def wait_for(self, event: str) -> dict:
        """Return the next event of this name."""
        return next(each for each in map(json.loads, self.process.stderr) if each["event"] == event)

    def status(self, path: str) -> int:
        return httpx2.get(self.url + path, timeout=TIMEOUT_SECONDS).status_code

    def end(self) -> tuple[int, str]:
        """End it by SIGTERM; return its exit status and the rest of what it said."""
        self.process.send_signal(signal.SIGTERM)
        return self.rest()

    def rest(self) -> tuple[int, str]:
        said = self.process.communicate()[1]
        self._guard.cancel()
        return self.process.returncode, said


@pytest.fixture
def root(tmp_path, tiny_bundle) -> Path:
    publish_version(tiny_bundle, tmp_path, 1)
    return tmp_path


@pytest.fixture
def server(root) -> Iterator[Server]:
    server = Server(root, reload_seconds="0")
    server.wait_for("ready")
    yield server
    assert server.end()[0] == 0


def ask(url: str, answers: list[httpx2.Response], is_over: threading.Event) -> None:
    with httpx2.Client(timeout=TIMEOUT_SECONDS) as client:
        while not is_over.is_set():
            answers.append(client.post(f"{url}/v1/translate", json=BODY))


def models_of(answer: httpx2.Response) -> set[str]:
    return {each["model"] for each in answer.json()["translations"]}


def test_no_answer_is_lost_or_mixed_when_hangups_swap_models(server, root, tiny_bundle):
    answers: list[httpx2.Response] = []
    is_over = threading.Event()
    callers = [threading.Thread(target=ask, args=(server.url, answers, is_over)) for _ in range(4)]
    for caller in callers:
        caller.start()
    answers.append(httpx2.post(f"{server.url}/v1/translate", json=BODY))

    for version in (2, 3, 4):
        publish_version(tiny_bundle, root, version, scale=1 + 0.1 * version)
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("model unloaded")
        answers.append(httpx2.post(f"{server.url}/v1/translate", json=BODY))
    is_over.set()
    for caller in callers:
        caller.join(TIMEOUT_SECONDS)

    assert {answer.status_code for answer in answers} == {200}
    assert {len(models_of(answer)) for answer in answers} == {1}
    served = set.union(*map(models_of, answers))
    assert served == {"tiny/1", "tiny/2", "tiny/3", "tiny/4"}


def test_bundle_that_is_damaged_leaves_the_server_ready(server, root, tiny_bundle):
    publish_damaged(tiny_bundle, root, 2)

    server.process.send_signal(signal.SIGHUP)
    server.wait_for("bundle refused")

    assert server.status("/readyz") == 200
    assert models_of(httpx2.post(f"{server.url}/v1/translate", json=BODY)) == {"tiny/1"}
    assert "dragoman_refused_bundles 1.0" in httpx2.get(f"{server.url}/metrics").text


def test_new_version_is_found_without_a_signal(root, tiny_bundle):
    server = Server(root, reload_seconds="0.05")
    server.wait_for("ready")

    publish_version(tiny_bundle, root, 2)
    server.wait_for("model unloaded")

    assert models_of(httpx2.post(f"{server.url}/v1/translate", json=BODY)) == {"tiny/2"}
    assert server.end()[0] == 0


def test_server_that_has_nothing_to_serve_ends_with_one_sentence(tmp_path, tiny_bundle):
    publish_damaged(tiny_bundle, tmp_path, 1)
    server = Server(tmp_path)

    status, said = server.rest()

    sentences = [line for line in said.splitlines() if not line.startswith("{")]
    assert status == 1
    assert len(sentences) == 1
    assert sentences[0].startswith("error: ")
    assert "weights.bin" in sentences[0]


def test_server_can_be_ended_while_it_loads(root):
    hold_back(root / "tiny" / "1")  # for ever
    server = Server(root, drain_seconds="0")

    statuses = [server.status(path) for path in ("/startupz", "/livez", "/readyz")]

    assert statuses == [503, 200, 503]
    assert server.end()[0] == 0
