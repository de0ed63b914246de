"""A version is published, evaluated by a job, promoted, kept by a restart and rolled back."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.versions import publish_version

pytestmark = pytest.mark.slow

WORDS = ("Haus", "Hund", "Katze", "klein", "Morgen", "gut", "zwei", "sehen", "Ich", "und", "einen")
SOURCE = [
    " ".join(WORDS[(line + line // 11 * place) % 11] for place in range(2 + line % 5)) + "."
    for line in range(110)
]
SECONDS = 120


@pytest.fixture
def settings(tmp_path, tiny_bundle) -> Settings:
    root = tmp_path / "bundles"
    publish_version(tiny_bundle, root, 1)
    return Settings(
        bundles=root,
        data=tmp_path / "data",
        device="cpu",
        workers=1,
        promotion="evaluated",
        reload_seconds=0.2,
    )


@contextmanager
def serving(settings: Settings) -> Iterator[TestClient]:
    app = create_app(settings)
    with TestClient(app) as client:
        app.state.library.started.result(SECONDS)
        yield client


def until(client: TestClient, path: str, holds) -> dict:
    deadline = time.monotonic() + SECONDS
    while not holds(found := client.get(path).json()):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def states(client: TestClient, **expected: str) -> None:
    wanted = {name.removeprefix("v"): state for name, state in expected.items()}
    until(
        client,
        "/v1/models/tiny/versions",
        lambda found: (
            {e["version"]: e["state"] for e in found["versions"]} == wanted and found["history"]
        ),
    )


def translate(client: TestClient) -> list[tuple[str, str]]:
    body = {"text": SOURCE, "source": "de", "target": "en"}
    answers = client.post("/v1/translate", json=body).json()["translations"]
    return [(each["model"], each["text"]) for each in answers]


def evaluate(client: TestClient, model: str, baseline: str, references: list[str]) -> dict:
    # A network that knows nothing writes control characters, too.
    lines = [pair for pair in zip(SOURCE, references, strict=True) if pair[1].isprintable()]
    assert len(lines) > 20
    body = {
        "model": model,
        "pair": "de-en",
        "baseline": baseline,
        "source": [source for source, _ in lines],
        "references": [reference for _, reference in lines],
        "metrics": ["bleu", "chrf"],
        "confidence": {"n": 200},
    }
    answer = client.post("/v1/evaluations", json=body)
    assert answer.status_code == 202, answer.text
    path = answer.json()["poll_url"]
    found = until(client, path, lambda body: body["status"] not in {"queued", "running"})
    assert found["status"] == "done", found
    return {"id": answer.json()["job_id"], "report": client.get(f"{path}/report.json").json()}


def test_version_serves_only_after_an_evaluation_that_speaks_for_it(settings, tiny_bundle):
    with serving(settings) as client:
        states(client, v1="serving")
        of_first = [text for _, text in translate(client)]
        # Another network, whose translations are no longer those of the first.
        publish_version(tiny_bundle, settings.bundles, 2, scale=1.5)
        publish_version(tiny_bundle, settings.bundles, 3)
        states(client, v1="serving", v2="candidate", v3="candidate")

        worse = evaluate(client, "tiny@2", "tiny@1", of_first)
        same = evaluate(client, "tiny@3", "tiny@1", of_first)
        refused, promoted = (
            client.post(
                "/v1/models/tiny/promote", json={"version": version, "evaluation": job["id"]}
            )
            for version, job in ((2, worse), (3, same))
        )

        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "promotion_refused")
        [bleu, _] = worse["report"]["comparison"]
        assert f"BLEU {bleu['delta']:+.2f} (p = " in refused.json()["error"]["message"]
        assert promoted.status_code == 200, promoted.text
        assert translate(client) == [("tiny/3", text) for text in of_first]

    with serving(settings) as client:
        states(client, v1="standby", v2="standby", v3="serving")
        assert client.post("/v1/models/tiny/rollback").json()["serving"] == "1"
        assert translate(client) == [("tiny/1", text) for text in of_first]
