"""The session of service/README.md with keys, run as it stands there."""

import json
import re
import shlex
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from service.app import create_app
from service.cli import dragoman
from service.settings import Settings
from tests.examples import pretty, without_passing

README = (Path(__file__).parents[1] / "service" / "README.md").read_text(encoding="utf-8")


def block(name: str) -> str:
    found = re.search(rf"<!-- {name} -->\n```(?:json)?\n(.*?)```", README, re.DOTALL)
    assert found, name
    return found[1]


@pytest.fixture
def key(tmp_path) -> str:
    program, *words = shlex.split(block("add key"))
    assert program == "dragoman"
    return CliRunner().invoke(dragoman, words, env={"DRAGOMAN_DATA": str(tmp_path)}).stdout.strip()


def test_key_of_the_example_is_good_for_two_requests(key, tmp_path):
    body = json.loads(block("keyed POST /v1/translate"))
    app = create_app(Settings(keys="required", data=tmp_path))

    with TestClient(app, headers={"Authorization": f"Bearer {key}"}) as client:
        app.state.library.started.result(timeout=60)
        answers = [client.post("/v1/translate", json=body) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    refusal = pretty(without_passing(answers[2].json())) + "\n"
    assert block("keyed answer") == refusal
