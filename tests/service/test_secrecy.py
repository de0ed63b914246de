"""A server as it is started by hand: what it was told in secret is in nothing that it says."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner

from service.cli import dragoman

ROOT = Path(__file__).parents[2]
TEXT = "guten morgen"
NATIVE = {"text": TEXT, "source": "de", "target": "en"}
LIBRETRANSLATE = {"q": TEXT, "source": "de", "target": "en"}
DEEPL = {"text": [TEXT], "source_lang": "DE", "target_lang": "EN"}
APERTIUM = {"q": TEXT, "langpair": "de|en"}


@pytest.fixture
def environment(tiny_bundle, tmp_path) -> dict[str, str]:
    return {
        "DRAGOMAN_BUNDLES": str(tiny_bundle.path.parents[1]),
        "DRAGOMAN_DATA": str(tmp_path / "data"),
        "DRAGOMAN_WORKERS": "1",
        "DRAGOMAN_KEYS": "required",
        "DRAGOMAN_LOG_LEVEL": "debug",
    }


@pytest.fixture
def keys(environment):
    def run(*words: str) -> str:
        return CliRunner().invoke(dragoman, ["keys", *words], env=environment).stdout.strip()

    return run


class Server:
    """`dragoman serve` in a process of its own."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "service", "serve", "--port", "0"],
            cwd=ROOT,
            env=os.environ | environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: list[str] = []
        self.url = f"http://127.0.0.1:{self._until('listening')['port']}"
        self._until("model loaded")

    def _until(self, event: str) -> dict:
        for line in self._process.stderr:
            self._lines.append(line)
            if (said := json.loads(line))["event"] == event:
                return said
        raise AssertionError("".join(self._lines))

    def stop(self) -> str:
        """End it by a signal; return all that it has said."""
        self._process.send_signal(signal.SIGTERM)
        rest = self._process.communicate(timeout=30)[1]
        assert self._process.returncode == 0
        return "".join(self._lines) + rest


def ask_in_every_way(url: str, key: str) -> list[httpx2.Response]:
    with httpx2.Client(base_url=url) as client:
        return [
            client.post("/v1/translate", json=NATIVE, headers={"Authorization": f"Bearer {key}"}),
            client.post("/v1/translate", json=NATIVE, headers={"X-API-Key": key}),
            client.post(
                "/v2/translate", json=DEEPL, headers={"Authorization": f"DeepL-Auth-Key {key}"}
            ),
            client.post("/v2/translate", data=DEEPL | {"auth_key": key}),
            client.post("/translate", json=LIBRETRANSLATE | {"api_key": key}),
            client.post("/translate", params=LIBRETRANSLATE | {"api_key": key}),
            client.post("/translate", data=LIBRETRANSLATE | {"api_key": key}),
            client.get("/apy/translate", params=APERTIUM | {"key": key}),
        ]


def test_key_is_in_no_log_no_metric_and_no_answer_and_its_use_is_kept(environment, keys):
    key = keys("add", "Weblate")
    wrong = f"{key[:-1]}-"
    server = Server(environment)

    good = ask_in_every_way(server.url, key)
    bad = ask_in_every_way(server.url, wrong)
    said = [answer.text + str(answer.headers) for answer in good + bad]
    said.append(httpx2.get(server.url + "/metrics").text)
    said.append(server.stop())

    assert {answer.status_code for answer in good} == {200}
    assert {answer.status_code for answer in bad} <= {401, 403}
    assert [each for each in said if key.split("_")[2][:-1] in each] == []
    assert '"event": "request served"' in said[-1]
    [kept] = json.loads(keys("list", "--json"))
    assert (kept["requests"], kept["characters"]) == (len(good), len(good) * len(TEXT))
