import asyncio
import json
from contextlib import suppress
from datetime import datetime, timedelta

import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from service.api.evaluations import EvaluationRequest
from service.app import create_app
from service.engine import Translation
from service.errors import NotFound, Overloaded
from service.evaluation import analyse
from service.evaluations import (
    EvaluationFiles,
    EvaluationLimits,
    Evaluations,
    Measures,
    Submission,
)
from service.jobs import JobStatus
from service.settings import Settings
from service.test_sets import TestSets
from tests.jobs import InlineJobs

LIMITS = EvaluationLimits(
    max_lines=20, max_line_characters=50, max_evaluations=4, keep_seconds=3600
)
SOURCE = ["good morning", "how are you", "the house is small", "", "i see a dog"]
REFERENCES = ["GOOD MORNING", "HOW ARE YOU TODAY", "THE HOUSE IS TINY", "", "I SEE A DOG"]
HYPOTHESES = [line.upper() for line in SOURCE]
QUICK = {"confidence": {"n": 0}}
BODY = {"pair": "en-de", "source": SOURCE, "references": REFERENCES, **QUICK}


@pytest.fixture(autouse=True)
def scored_here(request, monkeypatch):
    """Scored in this process, as all but one test do, for a process of its own takes a second."""
    if "apart" not in request.node.name:
        monkeypatch.setattr("service.evaluations.work.analyse_apart", lambda task, _: analyse(task))


@pytest.fixture
def jobs() -> InlineJobs:
    return InlineJobs()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "evaluations"


@pytest.fixture
def evaluations(models, jobs, folder, tmp_path) -> Evaluations:
    test_sets = TestSets(tmp_path / "test-sets")
    return Evaluations(EvaluationFiles(folder), models, jobs, test_sets, LIMITS)


@pytest.fixture
def client(models, evaluations, tmp_path):
    app = create_app(Settings(data=tmp_path, max_evaluation_bytes=20_000), models)
    app.state.evaluations = evaluations
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def submit(client, **changes):
    body = {name: value for name, value in (BODY | changes).items() if value is not None}
    return client.post("/v1/evaluations", json=body)


def done(client, **changes) -> dict:
    answer = submit(client, **changes)
    assert answer.status_code == 202, answer.text
    return client.get(answer.json()["poll_url"]).json()


def failure(answer) -> tuple[int, str, str, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["message"], error["field"]


def test_model_is_measured(client):
    accepted = submit(client)
    found = client.get(accepted.json()["poll_url"])
    body = found.json()
    report = client.get(f"{body['poll_url']}/report.json").json()

    assert accepted.status_code == 202
    assert accepted.headers["Location"] == accepted.json()["poll_url"]
    assert accepted.headers["Retry-After"] == "1"
    assert (found.status_code, body["status"]) == (200, "done")
    assert body["progress"] == {"done": 5, "total": 5}
    assert (body["pair"], body["model"], body["baseline"]) == ("en-de", "shout@1", None)
    assert body["report"] == report
    assert report["model"] == {
        "name": "shout",
        "version": "1",
        "sha256": "1" * 64,
        "precision": "int8",
        "provider": "CPUExecutionProvider",
    }
    assert body["scores"] == {each["metric"]: each["score"] for each in report["metrics"]}
    assert report["decode"]["beam"] == 4
    assert (report["sentences"], report["counts"]["empty"]) == (5, 1)
    assert report["performance"]["seconds"] > 0


def test_report_is_a_page_under_a_policy_of_its_own(client):
    page = client.get(f"{done(client, source=['<b>&'] * 5)['poll_url']}/report.html")

    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
    assert "Content-Disposition" not in page.headers
    assert "&lt;B&gt;&amp;" in page.text
    assert "<B>&" not in page.text


def test_scores_are_made_apart(client):
    assert done(client)["scores"]["chrf"] == pytest.approx(76.494, abs=0.001)


def test_hypotheses_are_what_the_model_says_and_come_from_no_memory(client, models):
    id = done(client)["job_id"]
    told = {
        name: client.get(f"/v1/evaluations/{id}/{name}.txt")
        for name in ("hypotheses", "source", "references")
    }

    assert {options.use_cache for options in models.options} == {False}
    assert told["hypotheses"].text.splitlines() == HYPOTHESES
    assert told["source"].text.splitlines() == SOURCE
    assert told["references"].text.splitlines() == REFERENCES
    assert told["source"].headers["Content-Type"] == "text/plain; charset=utf-8"
    assert told["source"].headers["Content-Disposition"] == "attachment; filename=source.txt"


def test_line_breaks_that_a_model_spells_out_shift_no_lines(client, models):
    models.answers = [
        Translation(text, "en", "de", "shout/1", 0.0, "eos", [])
        for text in ("A\r\nB", "C\u2028D", "E", "", "F\n")
    ]
    id = done(client)["job_id"]

    content = client.get(f"/v1/evaluations/{id}/hypotheses.txt").content.decode()
    assert content.split("\n") == ["A B", "C\u2028D", "E", "", "F ", ""]


def test_what_went_wrong_on_the_way_is_counted(client, models):
    models.answers = [
        Translation("A", "en", "de", "shout/1", 0.0, "length", []),
        Translation("B", "en", "de", "shout/1", 0.0, "repetition", [], lost=("{x}",)),
        Translation("C", "en", "de", "shout/1", 0.0, "length", []),
        Translation(" ", "en", "de", "shout/1", 0.0, "eos", []),
        Translation("", "en", "de", "shout/1", 0.0, "eos", []),
    ]

    assert done(client)["report"]["counts"] == {
        "truncated": 2,
        "repetition_stopped": 1,
        "placeholder_lost": 1,
        "empty": 2,
    }


def test_hypotheses_are_measured_without_a_model(client, models):
    body = done(client, source=None, hypotheses=REFERENCES, references=[REFERENCES])

    assert models.options == []
    assert (body["model"], body["report"]["model"], body["report"]["decode"]) == (None, None, None)
    assert body["progress"] == {"done": 0, "total": 0}
    assert body["scores"]["chrf"] == pytest.approx(100)
    assert body["report"]["performance"] is None
    assert client.get(f"{body['poll_url']}/source.txt").status_code == 404


def test_model_is_compared_with_another_version(client):
    body = done(client, model="shout@1", baseline="shout@2", confidence={"n": 100}, paired="both")
    baseline = client.get(f"{body['poll_url']}/baseline.txt").text.splitlines()
    report = body["report"]

    assert body["progress"] == {"done": 10, "total": 10}
    assert body["baseline"] == "shout@2"
    assert body["characters"] == 2 * sum(map(len, SOURCE))
    assert baseline == [line.title() for line in SOURCE]
    assert report["baseline"]["kind"] == "model"
    assert report["baseline"]["model"]["version"] == "2"
    assert [each["metric"] for each in report["comparison"]] == ["bleu", "chrf", "ter"]
    assert {test["test"] for test in report["comparison"][0]["tests"]} == {
        "paired_bootstrap",
        "approximate_randomisation",
    }
    assert report["baseline_performance"]["seconds"] > 0


def test_model_is_compared_with_an_earlier_evaluation_which_may_go(client):
    first = done(client, model="shout@2")
    accepted = submit(client, baseline_job=first["job_id"])
    client.delete(first["poll_url"])
    second = client.get(accepted.json()["poll_url"]).json()

    assert second["baseline"] == f"job {first['job_id']}"
    assert second["report"]["baseline"] == {
        "kind": "job",
        "model": None,
        "job_id": first["job_id"],
    }
    baseline = client.get(f"{second['poll_url']}/baseline.txt").text.splitlines()
    assert baseline == [line.title() for line in SOURCE]
    deltas = {each["metric"]: each["delta"] for each in second["report"]["comparison"]}
    assert deltas["chrf"] == second["scores"]["chrf"] - first["scores"]["chrf"]


def test_earlier_evaluation_must_be_done_and_of_the_same_lines(client, jobs):
    other = done(client, references=HYPOTHESES)["job_id"]
    assert failure(submit(client, baseline_job=other)) == (
        400,
        "invalid_request",
        f"baseline_job: {other} is about other lines",
        "baseline_job",
    )
    assert failure(submit(client, baseline_job="0" * 32))[:2] == (404, "not_found")
    jobs.is_held = True
    queued = submit(client).json()["job_id"]
    assert failure(submit(client, baseline_job=queued))[:3] == (
        409,
        "not_ready",
        "the evaluation is queued",
    )


def test_test_set_of_the_service_is_measured(client, tmp_path):
    folder = tmp_path / "test-sets"
    folder.mkdir()
    for name, lines in {"tiny.en": SOURCE, "tiny.de": REFERENCES, "tiny.de.2": HYPOTHESES}.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
    listed = client.get("/v1/test-sets").json()

    body = done(client, source=None, references=None, test_set="tiny")

    assert listed == {"test_sets": [{"name": "tiny", "languages": {"de": 2, "en": 1}}]}
    assert (body["test_set"], body["report"]["test_set"]) == ("tiny", "tiny")
    assert body["scores"]["bleu"] == pytest.approx(100)
    assert "nrefs:2" in body["report"]["metrics"][0]["signature"]
    second = client.get(f"{body['poll_url']}/references.txt", params={"number": 2})
    assert second.text.splitlines() == HYPOTHESES
    assert failure(submit(client, test_set="tiny"))[2:] == (
        "source: the test set has its own",
        "source",
    )
    missing = submit(client, source=None, references=None, test_set="other")
    assert failure(missing)[:2] == (404, "not_found")
    wrong = submit(client, source=None, references=None, test_set="tiny", pair="en-fr")
    assert failure(wrong)[2:] == ("en-fr is not served", None)


def upload(client, **files: bytes):
    data = {"pair": "en-de", "confidence": '{"n": 0}', "metrics": "bleu, chrf++"}
    given = {"source": b"one\ntwo\n", "reference": b"ONE\r\nTWO"} | files
    parts = [(name, (f"{name}.txt", content)) for name, content in given.items()]
    return client.post("/v1/evaluations", data=data, files=parts)


def test_files_may_be_uploaded(client):
    body = client.get(upload(client).json()["poll_url"]).json()

    assert body["status"] == "done"
    assert list(body["scores"]) == ["bleu", "chrf++"]
    assert body["scores"]["chrf++"] == pytest.approx(100)


def test_files_and_json_of_the_same_content_are_the_same(client):
    data = {"pair": "en-de", "idempotency_key": "k"}
    files = [("source", b"one\n"), ("reference", b"ONE\n"), ("reference", b"EINS\n")]
    first = client.post("/v1/evaluations", data=data, files=files)
    body = {**data, "source": ["one"], "references": [["ONE"], ["EINS"]]}
    second = client.post("/v1/evaluations", json=body)

    assert first.json()["job_id"] == second.json()["job_id"]


@pytest.mark.parametrize(
    ("files", "code", "message", "field"),
    [
        (
            {"source": b"one\nt\xffo\n"},
            "invalid_document",
            "source: line 2 is not UTF-8",
            "source",
        ),
        (
            {"reference": "ONE\nTWO".encode("utf-16")},
            "invalid_document",
            "reference: line 1 is not UTF-8",
            "reference",
        ),
        (
            {"reference": b"ONE\nT\0O"},
            "invalid_request",
            "references.1: there is a character NUL in this line",
            "references.1",
        ),
        (
            {"reference": b"ONE\nTWO\n\n"},
            "invalid_request",
            "source: 2 lines for the 3 of references",
            "source",
        ),
        ({"source": b""}, "invalid_request", "source: there are no lines", "source"),
        (
            {"files": b"one"},
            "invalid_request",
            "files: there is no such field",
            "files",
        ),
        (
            {"pair": b"en-de"},
            "invalid_request",
            "pair: is given 2 times",
            "pair",
        ),
    ],
)
def test_corrupt_upload_is_refused_by_its_line(client, folder, files, code, message, field):
    answer = upload(client, **files)

    assert failure(answer) == (400, code, message, field)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": SOURCE[:4]}, "source: 4 lines for the 5 of references"),
        ({"hypotheses": ["a"]}, "hypotheses: 1 lines for the 5 of references"),
        ({"baseline_hypotheses": ["a"]}, "baseline_hypotheses: 1 lines for the 5 of references"),
        ({"references": [REFERENCES, ["a"]]}, "references.1: 1 lines for the 5 of references.0"),
        ({"references": None}, "references: neither they nor test_set are given"),
        ({"source": None}, "source: a model needs it"),
        ({"source": ["a\nb"], "references": ["a"]}, "source.0: there is a line break in this line"),
        ({"pair": None}, "pair: neither it nor model nor hypotheses are given"),
        ({"pair": "german"}, "pair: must be two languages with a hyphen between, such as de-en"),
        ({"pair": "en-fr"}, "en-fr is not served"),
        ({"pair": None, "model": "shout"}, "pair: must be given, for shout may have several"),
        ({"model": "a b"}, "model: 'a b' is neither NAME nor NAME@VERSION, such as en-de@3"),
        ({"model": "shout", "hypotheses": SOURCE}, "model: there are hypotheses already"),
        ({"baseline": "shout", "baseline_job": "x"}, "baseline_job: there is baseline already"),
        (
            {"source": None, "hypotheses": SOURCE, "decode": {"beam": 1}},
            "decode: no model translates here",
        ),
        ({"decode": {"beam": 17}}, "decode.beam: 17 exceeds 16"),
        ({"decode": {"length_penalty": 11}}, "decode.length_penalty: 11.0 exceeds 10"),
        ({"metrics": ["comet"]}, "metrics.0: Input should be 'bleu', 'chrf', 'chrf++' or 'ter'"),
        ({"references": "a"}, "references: Input should be a list of lines, or of such"),
        ({"examples": 1001}, "examples: Input should be less than or equal to 1000"),
        ({"wrong": 1}, "wrong: Extra inputs are not permitted"),
    ],
)
def test_request_that_makes_no_sense_is_refused(client, folder, changes, message):
    status, code, told, _ = failure(submit(client, **changes))

    assert (status, code) in {(400, "invalid_request"), (400, "unsupported_pair")}
    assert told.startswith(message)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"source": ["a"] * 21}, "too_large", "references: 21 lines exceed 20"),
        ({"source": ["a" * 51]}, "text_too_long", "source.0: 51 characters exceed 50"),
    ],
)
def test_limits_are_named(client, changes, code, message):
    references = ["a" for _ in changes["source"]]

    assert failure(submit(client, references=references, **changes))[:3] == (413, code, message)


def test_body_has_a_limit_of_its_own(client):
    answer = submit(client, references=["a" * 20_000])

    assert failure(answer)[:3] == (413, "too_large", "the body exceeds 20000 bytes")


def test_unknown_model_is_refused_at_once(client):
    answer = submit(client, model="shout@3")

    assert failure(answer)[:2] == (404, "unknown_model")


def test_model_that_goes_meanwhile_fails_the_job_with_a_sentence(client, jobs, models):
    jobs.is_held = True
    id = submit(client, model="shout@2").json()["job_id"]
    models.published.remove("2")
    jobs.run(id)
    body = client.get(f"/v1/evaluations/{id}").json()
    hypotheses = client.get(f"/v1/evaluations/{id}/hypotheses.txt")

    assert body["status"] == "failed"
    assert body["error"]["code"] == "unknown_model"
    assert body["error"]["message"] == "there is no model shout 2"
    assert failure(hypotheses)[:3] == (
        404,
        "not_found",
        "the evaluation has no hypotheses.txt, for it failed: there is no model shout 2",
    )


def test_failure_of_an_evaluation_is_not_that_of_who_asks_for_its_files(client, jobs):
    jobs.is_held = True
    id = submit(client).json()["job_id"]
    jobs._statuses[id] = JobStatus("failed", 0, 5, "store_unavailable", "the disk is full")

    told = "has no {}, for it failed: the disk is full"
    for name in ("report.json", "hypotheses.txt"):
        answer = client.get(f"/v1/evaluations/{id}/{name}")
        assert failure(answer)[:3] == (404, "not_found", f"the evaluation {told.format(name)}")
        assert "Retry-After" not in answer.headers
    assert failure(submit(client, baseline_job=id)) == (
        404,
        "not_found",
        f"baseline_job: '{id}': the evaluation {told.format('hypotheses.txt')}",
        "baseline_job",
    )


def test_version_is_fixed_when_it_is_asked_for(client, jobs, models):
    jobs.is_held = True
    id = submit(client).json()["job_id"]
    models.identify = lambda name, version=None: (name, version or "2")
    jobs.run(id)

    assert client.get(f"/v1/evaluations/{id}").json()["report"]["model"]["version"] == "1"


def test_queued_evaluation_tells_so(client, jobs):
    jobs.is_held = True
    url = submit(client).json()["poll_url"]
    found = client.get(url)

    assert (found.json()["status"], found.json()["progress"]) == (
        "queued",
        {"done": 0, "total": 5},
    )
    assert found.headers["Retry-After"] == "1"
    early = client.get(f"{url}/report.json")
    assert failure(early)[:3] == (409, "not_ready", "the evaluation is queued")


def test_progress_is_told_chunk_by_chunk(client, jobs, evaluations, monkeypatch):
    monkeypatch.setattr("service.evaluations.intake.CHUNK_CHARACTERS", 20)
    jobs.is_held = True
    id = submit(client, baseline="shout@2").json()["job_id"]
    told = []
    jobs.before_chunk = lambda: told.append(asyncio.run(evaluations.find(id)))

    jobs.run(id)

    assert [(each.state, each.done, each.total) for each in told] == [
        ("running", 0, 10),
        ("running", 2, 10),
        ("running", 5, 10),
        ("running", 7, 10),
    ]
    hypotheses = client.get(f"/v1/evaluations/{id}/hypotheses.txt").text
    assert hypotheses.splitlines() == HYPOTHESES


def events(answer) -> list[tuple[str, dict]]:
    found = []
    for block in answer.text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "event" in fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


def test_events_end_with_the_report(client):
    id = done(client)["job_id"]

    [(name, data)] = events(client.get(f"/v1/evaluations/{id}/events"))

    assert (name, data["status"], data["report"]["job_id"]) == ("end", "done", id)
    assert failure(client.get("/v1/evaluations/x/events"))[:2] == (404, "not_found")


def test_events_tell_progress_and_the_deletion(client, jobs, evaluations, monkeypatch):
    monkeypatch.setattr("service.api.events.LOOK_SECONDS", 0.01)
    jobs.is_held = True
    id = submit(client).json()["job_id"]
    find, looks = evaluations.find, []

    async def find_and_act(id: str, *, owner: str | None = None):
        looks.append(id)
        if len(looks) == 3:
            await evaluations.delete(id)
        return await find(id, owner=owner)

    monkeypatch.setattr(evaluations, "find", find_and_act)
    told = events(client.get(f"/v1/evaluations/{id}/events"))

    assert [name for name, _ in told] == ["progress", "error"]
    assert told[0][1]["status"] == "queued"
    assert told[1][1]["error"]["message"] == "there is no such evaluation"


def test_events_end_when_the_service_does(client, jobs):
    jobs.is_held = True
    id = submit(client).json()["job_id"]
    client.app.state.intake.close()

    [(name, data)] = events(client.get(f"/v1/evaluations/{id}/events"))

    assert (name, data["error"]["code"]) == ("error", "overloaded")


def test_cancelled_evaluation_is_still_known(client, jobs):
    jobs.is_held = True
    url = submit(client).json()["poll_url"]
    cancelled = client.post(f"{url}/cancel").json()
    again = client.post(f"{url}/cancel").json()
    hypotheses = client.get(f"{url}/hypotheses.txt")

    assert (cancelled["status"], again["status"]) == ("cancelled", "cancelled")
    assert cancelled["error"] is None
    assert failure(hypotheses)[:3] == (
        404,
        "not_found",
        "the evaluation has no hypotheses.txt, for it was cancelled",
    )
    assert client.get(f"{url}/source.txt").text.splitlines() == SOURCE


def test_evaluation_that_is_over_cannot_be_cancelled_any_more(client):
    url = done(client)["poll_url"]

    assert client.post(f"{url}/cancel").json()["status"] == "done"


def test_deleted_evaluation_leaves_nothing(client, folder):
    url = done(client)["poll_url"]

    assert client.delete(url).status_code == 204
    assert list(folder.iterdir()) == []
    for answer in (client.get(url), client.delete(url), client.post(f"{url}/cancel")):
        assert failure(answer) == (404, "not_found", "there is no such evaluation", "id")


def test_evaluations_are_listed_the_newest_first(client, jobs):
    first, second = done(client)["job_id"], done(client)["job_id"]
    jobs.is_held = True
    third = submit(client).json()["job_id"]

    def listed(**parameters) -> list[str]:
        answer = client.get("/v1/evaluations", params=parameters).json()["evaluations"]
        return [each["job_id"] for each in answer]

    assert listed() == [third, second, first]
    assert listed(limit=2) == [third, second]
    assert listed(status="done") == [second, first]
    assert listed(status="done", limit=1) == [second]
    assert listed(status="failed") == []


def test_same_key_is_the_same_evaluation(client, models):
    first = submit(client, idempotency_key="k").json()
    second = client.post("/v1/evaluations", json=BODY, headers={"Idempotency-Key": "k"}).json()
    other = submit(client, idempotency_key="l").json()
    different = submit(client, idempotency_key="k", metrics=["bleu"])
    both = client.post(
        "/v1/evaluations", json=BODY | {"idempotency_key": "l"}, headers={"Idempotency-Key": "k"}
    )

    assert first["job_id"] == second["job_id"] != other["job_id"]
    assert len(models.options) == 2 * len(SOURCE)
    assert failure(different) == (
        409,
        "conflict",
        f"idempotency_key: it was used for another evaluation, {first['job_id']}",
        "idempotency_key",
    )
    assert failure(both)[2] == "idempotency_key: the header Idempotency-Key has another one"


def test_key_is_known_after_a_restart_and_free_after_a_deletion(
    client, models, jobs, folder, tmp_path
):
    first = submit(client, idempotency_key="k").json()
    files = EvaluationFiles(folder)
    restarted = Evaluations(files, models, jobs, TestSets(tmp_path), LIMITS)
    client.app.state.evaluations = restarted

    assert submit(client, idempotency_key="k").json()["job_id"] == first["job_id"]
    client.delete(first["poll_url"])
    assert submit(client, idempotency_key="k", metrics=["bleu"]).status_code == 202


def test_job_that_was_not_queued_when_the_process_died_is_queued_by_the_same_key(client, jobs):
    jobs.is_held = True
    id = submit(client, idempotency_key="k").json()["job_id"]
    jobs.forget(id)
    assert client.get(f"/v1/evaluations/{id}").json()["status"] == "failed"
    jobs.is_held = False

    assert submit(client, idempotency_key="k").json()["status"] == "done"


def test_requests_of_one_key_at_the_same_time_are_one_evaluation(evaluations, folder):
    submission = Submission(
        Measures(metrics=("bleu",), resamples=0, seed=1, paired="none", examples=0),
        pair="en-de",
        source=SOURCE,
        references=[REFERENCES],
        key="k",
    )
    charged: list[int] = []

    async def submit_all():
        return await asyncio.gather(
            *(evaluations.submit(submission, charged.append) for _ in range(5))
        )

    assert len({each.id for each in asyncio.run(submit_all())}) == 1
    assert charged == [sum(map(len, SOURCE))]
    assert len(list(folder.iterdir())) == 1


def test_what_cannot_be_queued_is_not_kept(client, jobs, folder, monkeypatch):
    def refuse(kind: str, id: str) -> None:
        raise Overloaded("the service is shutting down")

    monkeypatch.setattr(jobs, "submit", refuse)

    assert failure(submit(client))[:2] == (503, "overloaded")
    assert list(folder.iterdir()) == []


def test_only_so_many_are_kept(client):
    for _ in range(4):
        done(client)

    assert failure(submit(client))[:3] == (503, "overloaded", "4 evaluations are kept already")


def test_evaluation_expires(client, models, jobs, folder, tmp_path):
    url = done(client)["poll_url"]
    created = datetime.fromisoformat(client.get(url).json()["created"])
    expires = datetime.fromisoformat(client.get(url).json()["expires"])
    assert timedelta(seconds=3600) <= expires - created < timedelta(seconds=3700)

    brief = EvaluationLimits(20, 50, 4, keep_seconds=0.001)
    evaluations = Evaluations(EvaluationFiles(folder), models, jobs, TestSets(tmp_path), brief)
    client.app.state.evaluations = evaluations
    assert client.get(url).status_code == 404
    assert client.get("/v1/evaluations").json() == {"evaluations": []}

    async def sweep_once() -> None:
        with suppress(TimeoutError):  # it never ends by itself
            await asyncio.wait_for(evaluations.sweep(), 0.2)

    asyncio.run(sweep_once())
    assert list(folder.iterdir()) == []
    assert jobs.status(url.rpartition("/")[2]) is None


def test_report_is_found_for_its_owner_alone(evaluations, jobs):
    submission = Submission(
        Measures(metrics=("bleu",), resamples=0, seed=1, paired="none", examples=0),
        pair="en-de",
        source=SOURCE,
        references=[REFERENCES],
        owner="me",
    )
    id = asyncio.run(evaluations.submit(submission)).id

    assert evaluations.find_report(id, "me").job_id == id
    for owner in (None, "you"):
        with pytest.raises(NotFound):
            evaluations.find_report(id, owner)


def test_decoding_options_reach_the_engine_and_are_reported(client, models):
    decode = {
        "beam": 2,
        "length_penalty": 1.5,
        "max_tokens": 9,
        "no_repeat_ngram": 3,
        "coverage_penalty": 0.25,
    }

    report = done(client, decode=decode)["report"]

    assert report["decode"] == decode
    assert {
        (each.beam, each.length_penalty, each.max_tokens, each.no_repeat_ngram)
        for each in models.options
    } == {(2, 1.5, 9, 3)}
    assert {each.coverage_penalty for each in models.options} == {0.25}


def test_closed_intake_takes_no_evaluation(client):
    client.app.state.intake.close()

    assert failure(submit(client))[:2] == (503, "overloaded")


def test_without_a_key_nothing_is_listed_where_others_may_be_without_one_too(models, tmp_path):
    app = create_app(Settings(data=tmp_path, keys="optional"), models)
    with TestClient(app) as client:
        assert submit(client).status_code == 202
        assert client.get("/v1/evaluations").json() == {"evaluations": []}


def test_evaluations_belong_to_the_key_and_are_charged(keyed):
    mine = {"Authorization": f"Bearer {keyed.make('evaluate', characters_per_month=200)}"}
    other = {"Authorization": f"Bearer {keyed.make('evaluate')}"}
    translator = {"Authorization": f"Bearer {keyed.make('translate')}"}
    characters = sum(map(len, SOURCE))
    body = BODY | {"baseline": "shout@2"}
    accepted = keyed.post("/v1/evaluations", json=body, headers=mine)
    url = accepted.json()["poll_url"]

    assert accepted.status_code == 202
    assert keyed.get(url, headers=mine).status_code == 200
    assert keyed.get(url, headers=other).status_code == 404
    assert keyed.get(f"{url}/source.txt", headers=other).status_code == 404
    assert keyed.delete(url, headers=other).status_code == 404
    assert keyed.get("/v1/evaluations", headers=other).json() == {"evaluations": []}
    assert len(keyed.get("/v1/evaluations", headers=mine).json()["evaluations"]) == 1
    assert failure(keyed.post("/v1/evaluations", json=body, headers=translator))[:2] == (
        403,
        "forbidden",
    )
    usage = keyed.get("/v1/usage", headers=mine).json()
    assert usage["characters"] == 2 * characters
    assert failure(
        keyed.post("/v1/evaluations", json=body | {"source": ["x" * 40] * 5}, headers=mine)
    )[:2] == (429, "quota_exceeded")


def test_same_key_of_idempotency_is_charged_once(keyed):
    mine = {"Authorization": f"Bearer {keyed.make('evaluate')}", "Idempotency-Key": "k"}
    other = {"Authorization": f"Bearer {keyed.make('evaluate')}", "Idempotency-Key": "k"}
    ids = [
        keyed.post("/v1/evaluations", json=BODY, headers=headers).json()["job_id"]
        for headers in (mine, mine, other)
    ]

    assert ids[0] == ids[1] != ids[2]
    assert keyed.get("/v1/usage", headers=mine).json()["characters"] == sum(map(len, SOURCE))


@pytest.mark.parametrize(
    "wrong",
    [
        {"source": [1] * 500},
        {"references": [1] * 500},
        {"references": [["a"], *[1] * 500]},
        {"references": [[1] * 500]},
        {"metrics": ["x"] * 500},
        {"decode": {f"a{i}": 1 for i in range(500)}},
        {"confidence": {f"a{i}": 1 for i in range(500)}},
        {f"a{i}": 1 for i in range(500)},
    ],
)
def test_much_that_is_wrong_takes_no_more_memory_than_a_little(wrong):
    with pytest.raises(ValidationError) as caught:
        EvaluationRequest.model_validate(wrong)

    assert caught.value.error_count() < 20


def test_fields_without_end_are_refused(client):
    answer = client.post("/v1/evaluations", json={f"a{i}": 1 for i in range(101)})

    assert failure(answer)[:3] == (
        400,
        "invalid_request",
        "the body has 101 fields, more than 100",
    )
