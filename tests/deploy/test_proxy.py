"""Two services behind nginx, with the configuration of `deploy/nginx.conf`, are as one.

    pytest -m slow tests/deploy/test_proxy.py

They share a PostgreSQL and a data folder, as deploy/README.md says. Needs nginx and PostgreSQL.
"""

import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from tests.postgres import running_postgres
from tests.system.lives import TIMEOUT_SECONDS, Lives, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed"),
]

ROOT = Path(__file__).parents[2]
LINES = [f"Das Haus {i} ist klein, aber schön." for i in range(300)]
EVALUATION = {
    "pair": "de-en",
    "source": LINES,
    "references": [f"The house {i} is small." for i in range(len(LINES))],
    "decode": {"beam": 1},
    "confidence": {"n": 0},
}


class Site:
    """Two services and the proxy before them."""

    def __init__(self, services: list[Lives], client: httpx2.Client) -> None:
        self.services = services
        self._client = client

    def translate(self, number: int) -> int:
        body = {"text": f"guten morgen {number}", "source": "de", "target": "en"}
        return self._client.post("/v1/translate", json=body).status_code

    def get(self, path: str) -> httpx2.Response:
        return self._client.get(path)

    def post(self, path: str, body: dict) -> httpx2.Response:
        return self._client.post(path, json=body)

    def worker_on_jobs(self) -> Lives:
        return wait_until(lambda: next((s for s in self.services if s.events("jobs ready")), None))


def served(service: Lives) -> float:
    """Return how many translations a service has answered with success."""
    lines = service.get("/metrics").text.splitlines()
    start = 'dragoman_request_seconds_count{route="/v1/translate",status="2xx"}'
    return sum(float(line.split()[-1]) for line in lines if line.startswith(start))


def configuration(folder: Path, services: list[Lives], port: int) -> Path:
    text = (ROOT / "deploy/nginx.conf").read_text(encoding="utf-8")
    for number, service in enumerate(services, 1):
        text = text.replace(f"dragoman-{number}:8000", service.url.removeprefix("http://"))
    text = text.replace("listen 8080", f"listen 127.0.0.1:{port}")
    path = folder / "nginx.conf"
    path.write_text(text.replace("/tmp/nginx.pid", f"{folder}/nginx.pid"), encoding="utf-8")
    return path


@pytest.fixture
def site(tmp_path, tiny_bundle) -> Iterator[Site]:
    with ExitStack() as stack:
        database = stack.enter_context(running_postgres()).url
        settings = {"database": database, "data": str(tmp_path / "data"), "workers": "1"}
        services = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            services.append(stack.enter_context(Lives(tmp_path / name, tiny_bundle, **settings)))
            services[-1].start()
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        nginx = subprocess.Popen(
            ["nginx", "-c", str(configuration(tmp_path, services, port)), "-g", "daemon off;"],
            stderr=subprocess.DEVNULL,
        )
        stack.callback(lambda: (nginx.terminate(), nginx.wait(TIMEOUT_SECONDS)))
        client = httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=TIMEOUT_SECONDS)
        stack.enter_context(client)
        wait_until(lambda: nginx.poll() is None and is_open(port))
        yield Site(services, client)


def is_open(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def test_work_is_shared_and_what_is_for_operators_is_not_passed_on(site):
    with ThreadPoolExecutor(8) as callers:
        statuses = list(callers.map(site.translate, range(200)))

    shares = [served(service) for service in site.services]
    sys.stdout.write(f"\nanswered by each: {shares}\n")
    assert statuses == [200] * 200
    assert sum(shares) == 200
    assert min(shares) > 0
    assert site.get("/metrics").status_code == 404
    assert site.get("/readyz").status_code == 200


def test_no_request_is_lost_when_one_service_ends(site):
    stop, statuses = threading.Event(), []

    def ask() -> None:
        number = 0
        while not stop.is_set():
            statuses.append(site.translate(number := number + 1))

    with ThreadPoolExecutor(4) as callers:
        for _ in range(4):
            callers.submit(ask)
        wait_until(lambda: len(statuses) > 100)
        exit_status = site.services[0].end()
        after = len(statuses)
        wait_until(lambda: len(statuses) > after + 100)
        stop.set()

    sys.stdout.write(f"\n{len(statuses)} requests, {after} until one had ended\n")
    assert exit_status == 0
    assert set(statuses) == {200}


def test_job_goes_on_when_the_service_that_works_on_it_is_killed(site):
    path = site.post("/v1/evaluations", EVALUATION).json()["poll_url"]
    first = site.worker_on_jobs()
    first.wait_for("chunk done")
    # All requests about jobs find who works on them.
    assert {site.get(path).status_code for _ in range(10)} == {200}
    first.kill()
    (second,) = [each for each in site.services if each is not first]
    second.wait_for("jobs ready")

    def look() -> dict | None:
        body = site.get(path).json()
        return body if body["status"] not in ("queued", "running") else None

    body = wait_until(look)
    assert body["status"] == "done"
    assert body["progress"] == {"done": len(LINES), "total": len(LINES)}
