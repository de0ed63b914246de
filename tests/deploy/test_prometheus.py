"""Prometheus itself scrapes a service at work and answers what the dashboard asks.

    pytest -m slow tests/deploy/test_prometheus.py

Needs Debian's package prometheus, or another one's `prometheus`.
"""

import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.system.lives import TIMEOUT_SECONDS, Lives, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed"),
]

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/monitoring"
DASHBOARD = json.loads((FOLDER / "grafana/dashboards/dragoman.json").read_text(encoding="utf-8"))

# What nothing is to be seen of where all is well, no job was begun, and there is no GPU.
EMPTY = {
    "Failures by code",
    "Texts refused for want of room",
    "Given up",
    "GPU memory",
    "Lost",
    "Unknown tokens",
    "Jobs under way",
    "Jobs an hour",
}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory, tiny_bundle) -> Iterator[httpx2.Client]:
    """Return a client of a Prometheus that scrapes a service with the configuration of deploy/."""
    folder = tmp_path_factory.mktemp("prometheus")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with Lives(folder, tiny_bundle, workers="1") as service:
        service.start()
        text = (FOLDER / "prometheus.yml").read_text(encoding="utf-8")
        text = text.replace("dragoman:8000", service.url.removeprefix("http://"))
        (folder / "prometheus.yml").write_text(text.replace("15s", "1s"), encoding="utf-8")
        shutil.copy(FOLDER / "alerts.yml", folder)
        options = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb"]
        running = subprocess.Popen(
            ["prometheus", *options, f"--web.listen-address={address}"], stderr=subprocess.DEVNULL
        )
        with httpx2.Client(base_url=f"http://{address}", timeout=TIMEOUT_SECONDS) as client:
            try:
                wait_until(lambda: is_ready(client))
                work_until_seen(service, client)
                yield client
            finally:
                running.terminate()
                running.wait(TIMEOUT_SECONDS)


def is_ready(client: httpx2.Client) -> bool:
    try:
        return client.get("/-/ready").status_code == 200
    except httpx2.TransportError:
        return False  # it does not listen yet


def work_until_seen(service: Lives, client: httpx2.Client) -> None:
    """Translate until Prometheus has seen work grow, which rates need."""
    numbers = iter(range(10_000))

    def look() -> bool:
        texts = [f"guten morgen {next(numbers)}", "guten tag"]
        service.post("/v1/translate", {"text": texts, "source": "de", "target": "en"})
        return bool(query(client, "increase(dragoman_sentences_total[1m]) > 0"))

    wait_until(look)


def query(client: httpx2.Client, expression: str) -> list:
    for name in ("$instance", "$model"):
        expression = expression.replace(name, ".*")
    expression = expression.replace("$__rate_interval", "1m")
    answer = client.get("/api/v1/query", params={"query": expression})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]["result"]


def test_every_panel_has_something_to_show(prometheus):
    panels = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
    found = {
        panel["title"]: sum(len(query(prometheus, t["expr"])) for t in panel["targets"])
        for panel in panels
    }

    sys.stdout.write(f"\nseries by panel: {found}\n")
    assert {title for title, series in found.items() if not series} <= EMPTY


def test_variables_have_values(prometheus):
    for variable in DASHBOARD["templating"]["list"]:
        expression, label = re.fullmatch(
            r"label_values\((.*), (\w+)\)", variable["definition"]
        ).groups()
        assert query(prometheus, f"count by ({label}) ({expression})"), variable["name"]


def test_all_alerts_are_evaluated_and_none_fires_where_all_is_well(prometheus):
    def look() -> list[dict] | None:
        (group,) = prometheus.get("/api/v1/rules").json()["data"]["groups"]
        rules = group["rules"]
        return rules if all(rule["health"] != "unknown" for rule in rules) else None

    rules = wait_until(look)
    assert {rule["health"] for rule in rules} == {"ok"}
    assert [rule["name"] for rule in rules if rule["state"] != "inactive"] == []
