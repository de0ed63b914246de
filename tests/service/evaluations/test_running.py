"""Evaluations by a real engine and real jobs: what they say, and what becomes of them."""

import errno
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.evaluation import analyse
from service.evaluations import EvaluationFiles, work
from service.settings import Settings
from tests.versions import publish_version

TIMEOUT_SECONDS = 60
SOURCE = [
    "Guten Morgen. Wie geht es dir?",
    "Das Haus ist klein, aber schön.",
    "Ich sehe einen Hund und zwei Katzen.",
    "Wir haben gestern lange auf den Bus gewartet.",
    "Kannst du mir bitte helfen?",
    "",
    "Der Zug kommt um 12:45 Uhr an.",
    "Tom wohnt seit drei Jahren in Boston.",
]
REFERENCES = [
    "Good morning. How are you?",
    "The house is small, but beautiful.",
    "I see a dog and two cats.",
    "Yesterday we waited a long time for the bus.",
    "Can you help me, please?",
    "",
    "The train arrives at 12:45.",
    "Tom has been living in Boston for three years.",
]
OTHERS = [
    "Good morning. How are you doing?",
    "The house is small but nice.",
    "I can see one dog and two cats.",
    "We waited for the bus for a long time yesterday.",
    "Could you please help me?",
    "",
    "The train will arrive at 12:45.",
    "Tom has lived in Boston for three years.",
]
BODY = {
    "pair": "de-en",
    "source": SOURCE,
    "references": REFERENCES,
    "metrics": ["bleu"],
    "confidence": {"n": 0},
    "examples": 0,
}


@contextmanager
def served(**settings) -> Iterator[TestClient]:
    app = create_app(Settings(**settings))
    with TestClient(app) as client:
        app.state.library.started.result(TIMEOUT_SECONDS)
        yield client


def await_status(client: TestClient, url: str, *statuses: str) -> dict:
    ticker = threading.Event()
    for _ in range(20 * TIMEOUT_SECONDS):
        body = client.get(url).json()
        if body["status"] in statuses:
            return body
        ticker.wait(0.05)
    raise TimeoutError(f"{body}")


def submit(client: TestClient, **changes) -> str:
    answer = client.post("/v1/evaluations", json=BODY | changes)
    assert answer.status_code == 202, answer.text
    return answer.json()["poll_url"]


def evaluate(client: TestClient, **changes) -> dict:
    return await_status(client, submit(client, **changes), "done", "failed")


def lines(client: TestClient, url: str, name: str) -> list[str]:
    return client.get(f"{url}/{name}.txt").text.split("\n")[:-1]


class Gate:
    """Stops the translation of chunks until it is opened; `check` is called meanwhile.

    Args:
        num_free: chunks that are let through before.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, num_free: int = 0) -> None:
        self._is_open, self._is_reached = threading.Event(), threading.Event()
        self.num_begun = 0
        translate = work._translate

        def translate_behind_the_gate(models, record, choice, lines, check):
            self.num_begun += 1
            if self.num_begun > num_free:
                self.wait(check)
            return translate(models, record, choice, lines, check)

        monkeypatch.setattr(work, "_translate", translate_behind_the_gate)

    def wait(self, check: Callable[[], None]) -> None:
        self._is_reached.set()
        while not self._is_open.wait(0.01):
            check()

    def await_somebody(self) -> None:
        assert self._is_reached.wait(TIMEOUT_SECONDS)

    def open(self) -> None:
        self._is_open.set()


@pytest.fixture(autouse=True)
def scored_here(request, monkeypatch):
    """Scored in this process where that is not what is tested: another one takes seconds."""
    if "scores" not in request.node.name:
        monkeypatch.setattr(work, "analyse_apart", lambda task, _: analyse(task))


@pytest.fixture
def published(tmp_path) -> Iterator[TestClient]:
    with served(data=tmp_path / "data") as client:
        yield client


@pytest.fixture
def bundles(tmp_path, tiny_bundle):
    publish_version(tiny_bundle, tmp_path / "bundles", 1)
    return tmp_path / "bundles"


@pytest.fixture
def tiny(tmp_path, bundles) -> Iterator[TestClient]:
    with served(data=tmp_path / "data", bundles=bundles, workers=1) as client:
        yield client


def sacrebleu(*arguments: object) -> list[dict]:
    command = [sys.executable, "-m", "sacrebleu", *map(str, arguments), "--width", "6"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(run.stdout)
    return found if isinstance(found, list) else [found]


def test_scores_are_those_of_the_sacrebleu_command_for_the_downloaded_files(published, tmp_path):
    metrics = ["bleu", "chrf", "chrf++", "ter"]
    references = [REFERENCES, OTHERS]
    body = evaluate(published, references=references, metrics=metrics, confidence={"n": 200})
    files = {"hypotheses.txt": {}, "references.txt": {"number": 1}, "more.txt": {"number": 2}}
    for name, parameters in files.items():
        path = name.replace("more", "references")
        content = published.get(f"{body['poll_url']}/{path}", params=parameters).content
        (tmp_path / name).write_bytes(content)
    given = [tmp_path / "references.txt", tmp_path / "more.txt", "-i", tmp_path / "hypotheses.txt"]
    common = ["-l", "de-en", "--confidence", "--confidence-n", 200]

    told = sacrebleu(*given, "-m", "bleu", "chrf", "ter", *common)
    told.insert(2, *sacrebleu(*given, "-m", "chrf", "--chrf-word-order", 2, *common))

    for measured, known in zip(body["report"]["metrics"], told, strict=True):
        assert measured["name"] == known["name"]
        assert measured["score"] == pytest.approx(known["score"], abs=1e-6)
        low, high = measured["interval"]
        assert (low + high) / 2 == pytest.approx(known["confidence_mean"], abs=1e-5)
        assert (high - low) / 2 == pytest.approx(known["confidence_var"], abs=1e-5)
        signature = dict(part.split(":", 1) for part in measured["signature"].split("|"))
        assert signature.items() <= {k: str(v) for k, v in known.items()}.items() | {
            tuple(part.split(":", 1)) for part in known["signature"].split("|")
        }


def test_hypotheses_are_those_of_translate(published):
    decode = {"beam": 3, "length_penalty": 0.8, "no_repeat_ngram": 4}
    body = evaluate(published, decode=decode)

    answer = published.post(
        "/v1/translate", json={"text": SOURCE, "source": "de", "target": "en", **decode}
    )
    translations = [each["text"] for each in answer.json()["translations"]]
    assert lines(published, body["poll_url"], "hypotheses") == translations
    model = body["report"]["model"]
    assert f"{model['name']}/{model['version']}" == answer.json()["translations"][0]["model"]
    assert body["report"]["performance"]["target_tokens_per_second"] > 0


def test_hypotheses_do_not_depend_on_chunks(published, monkeypatch):
    whole = evaluate(published)
    monkeypatch.setattr("service.evaluations.intake.CHUNK_CHARACTERS", 40)
    parted = evaluate(published)

    assert parted["progress"] == whole["progress"] == {"done": 8, "total": 8}
    hypotheses = [lines(published, each["poll_url"], "hypotheses") for each in (whole, parted)]
    assert hypotheses[0] == hypotheses[1]
    assert parted["scores"] == whole["scores"]


def test_version_stays_the_same_when_the_model_is_reloaded_in_the_middle(
    tiny, bundles, tiny_bundle, monkeypatch
):
    monkeypatch.setattr("service.evaluations.intake.CHUNK_CHARACTERS", 40)
    undisturbed = evaluate(tiny)
    gate = Gate(monkeypatch)
    url = submit(tiny)
    gate.await_somebody()
    publish_version(tiny_bundle, bundles, 2, scale=1.5)
    tiny.app.state.library.reload()
    ticker = threading.Event()
    while tiny.get("/v1/models").json()["models"][0]["version"] != "2":
        ticker.wait(0.05)
    gate.open()
    disturbed = await_status(tiny, url, "done", "failed")
    newer = evaluate(tiny)

    assert gate.num_begun > 1
    models = [each["report"]["model"] for each in (undisturbed, disturbed, newer)]
    assert [each["version"] for each in models] == ["1", "1", "2"]
    assert models[0] == models[1] != models[2]
    assert models[0]["sha256"] != models[2]["sha256"]
    hypotheses = [
        lines(tiny, each["poll_url"], "hypotheses") for each in (undisturbed, disturbed, newer)
    ]
    assert hypotheses[0] == hypotheses[1] != hypotheses[2]


def test_deleted_evaluation_ends_at_once(tiny, tmp_path, monkeypatch):
    gate = Gate(monkeypatch)
    url = submit(tiny)
    gate.await_somebody()

    assert tiny.delete(url).status_code == 204
    assert tiny.get(url).status_code == 404
    assert list((tmp_path / "data" / "evaluations").iterdir()) == []
    assert tiny.app.state.jobs.status(url.rpartition("/")[2]) is None
    gate.open()
    assert evaluate(tiny)["status"] == "done"  # the one place for evaluations is free again


def test_evaluation_that_is_being_scored_is_cancelled_at_once(tiny, monkeypatch):
    gate = Gate(monkeypatch, num_free=1)
    is_scoring = threading.Event()
    score = work.analyse_apart

    def never_end(task, check):
        is_scoring.set()
        gate.wait(check)

    monkeypatch.setattr(work, "analyse_apart", never_end)
    url = submit(tiny)
    assert is_scoring.wait(TIMEOUT_SECONDS)
    body = tiny.get(url).json()
    assert (body["status"], body["progress"]) == ("running", {"done": 8, "total": 8})

    assert tiny.post(f"{url}/cancel").json()["status"] == "cancelled"
    assert tiny.get(f"{url}/report.json").status_code == 404
    monkeypatch.setattr(work, "analyse_apart", score)
    gate.open()
    assert evaluate(tiny)["status"] == "done"


def test_evaluation_goes_on_after_a_restart_with_the_first_chunk_that_is_missing(
    tmp_path, bundles, monkeypatch
):
    monkeypatch.setattr("service.evaluations.intake.CHUNK_CHARACTERS", 40)
    settings = {"data": tmp_path / "data", "bundles": bundles, "workers": 1}
    with served(**settings) as client:
        undisturbed = evaluate(client, baseline="tiny@1")
        chunks = sorted(path.name for path in chunks_of(tmp_path, undisturbed["poll_url"]))
        expected = lines(client, undisturbed["poll_url"], "hypotheses")
        gate = Gate(monkeypatch, num_free=2)
        url = submit(client, baseline="tiny@1")
        gate.await_somebody()
    before = {path.name: path.stat().st_mtime_ns for path in chunks_of(tmp_path, url)}
    gate.open()
    with served(**settings) as client:
        resumed = await_status(client, url, "done", "failed")
        assert lines(client, url, "hypotheses") == expected
    after = {path.name: path.stat().st_mtime_ns for path in chunks_of(tmp_path, url)}

    assert before.keys() == {"model-0.json", "model-1.json"}
    assert before.items() <= after.items()
    assert sorted(after) == chunks
    assert gate.num_begun == len(chunks) + 1  # that which was interrupted twice
    assert resumed["scores"] == undisturbed["scores"]
    assert resumed["report"]["counts"] == undisturbed["report"]["counts"]
    assert resumed["progress"] == undisturbed["progress"] == {"done": 16, "total": 16}


def chunks_of(root: Path, url: str) -> Iterator[Path]:
    folder = root / "data" / "evaluations" / url.rpartition("/")[2]
    return (path for path in folder.glob("*-*.json"))


def test_evaluation_waits_for_a_full_disk(tiny, monkeypatch):
    keep, refusals = EvaluationFiles.keep_chunk, [errno.ENOSPC]

    def keep_when_there_is_room(self, *arguments):
        if refusals:
            raise OSError(refusals.pop(), "No space left on device")
        keep(self, *arguments)

    monkeypatch.setattr(EvaluationFiles, "keep_chunk", keep_when_there_is_room)

    assert evaluate(tiny)["status"] == "done"
    assert refusals == []


def test_replaced_files_of_a_version_fail_the_job_with_a_sentence(tiny, monkeypatch):
    monkeypatch.setattr("service.evaluations.intake.CHUNK_CHARACTERS", 40)
    describe, names = work._describe, iter("abcdefgh")

    def describe_another(models, choice):
        return describe(models, choice).model_copy(update={"sha256": next(names)})

    monkeypatch.setattr(work, "_describe", describe_another)
    body = evaluate(tiny)

    assert (body["status"], body["error"]["code"]) == ("failed", "unusable_model")
    assert body["error"]["message"] == (
        "the model tiny/1 cannot be used: its files were replaced while it was measured"
    )


def test_no_text_of_users_and_no_key_reaches_the_log_or_the_database(tiny, tmp_path, caplog):
    caplog.set_level("DEBUG")
    source, other = ["Geheimes Haus."], ["Secret house."]
    body = evaluate(tiny, source=source, references=other, idempotency_key="my-key-of-today")

    assert body["status"] == "done"
    said = caplog.text.encode() + (tmp_path / "data" / "jobs.sqlite").read_bytes()
    assert [word for word in (b"Geheimes", b"Secret", b"my-key-of-today") if word in said] == []
    kept = b"".join(p.read_bytes() for p in (tmp_path / "data").rglob("*.json"))
    assert b"my-key-of-today" not in kept
