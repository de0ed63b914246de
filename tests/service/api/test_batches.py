import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from datetime import datetime

import httpx2
import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.batches import Batches, BatchFiles, BatchLimits
from service.engine import Term
from service.glossaries import Dictionary
from service.settings import Settings
from tests.jobs import InlineJobs

LIMITS = BatchLimits(max_lines=100, max_characters=50, max_batches=5, keep_seconds=3600)


@pytest.fixture
def jobs() -> InlineJobs:
    return InlineJobs()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "batches"


@pytest.fixture
def client(models, jobs, folder, tmp_path) -> Iterator[TestClient]:
    settings = Settings(data=tmp_path, max_batch_bytes=3000, max_body_bytes=100, max_beam=4)
    app = create_app(settings, models)
    app.state.batches = Batches(BatchFiles(folder), models, jobs, LIMITS)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def upload(client, content=b"Good morning.\n", headers=None, **query):
    query = {"source": "en", "target": "de"} | query
    return client.post("/v1/batches", params=query, content=content, headers=headers)


def failure(answer) -> tuple[int, str, str, str | None, float | None]:
    error = answer.json()["error"]
    return (
        answer.status_code,
        error["code"],
        error["message"],
        error["field"],
        error["limit"],
    )


def in_blocks() -> Iterator[bytes]:
    yield from (b"Good ", b"morning.\r", b"\n\r\nYes.")


def test_batch_goes_up_and_its_translation_comes_down(client):
    accepted = upload(client, in_blocks())
    found = client.get(accepted.json()["poll_url"])
    result = client.get(found.json()["result_url"])

    assert "Content-Length" not in accepted.request.headers
    assert (accepted.status_code, accepted.json()["status"]) == (202, "queued")
    assert accepted.headers["Location"] == accepted.json()["poll_url"]
    assert accepted.headers["Retry-After"] == "1"
    assert found.json()["status"] == "done"
    assert found.json()["progress"] == {"done": 3, "total": 3}
    assert found.json()["characters"] == len("Good morning.Yes.")
    assert found.json()["models"] == ["shout/1"]
    assert found.json()["counts"]["truncated"] == 0
    assert result.content == b"GOOD MORNING.\r\n\r\nYES."
    assert result.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert result.headers["Content-Length"] == str(len(result.content))
    job_id = found.json()["job_id"]
    assert result.headers["Content-Disposition"] == f'attachment; filename="{job_id}.de.txt"'


def test_result_may_be_fetched_in_ranges(client):
    url = f"{upload(client).json()['poll_url']}/result"

    part = client.get(url, headers={"Range": "bytes=5-"})

    assert (part.status_code, part.content) == (206, b"MORNING.\n")


@pytest.mark.parametrize("value", ["x", "bytes=", "bytes=5-3", "bytes=a-b", "lines=1-2", "bytes=-"])
def test_range_that_is_none_is_no_matter(client, value):
    url = f"{upload(client).json()['poll_url']}/result"

    answer = client.get(url, headers={"Range": value})

    assert (answer.status_code, answer.content) == (200, b"GOOD MORNING.\n")


def test_every_field_of_the_answer_is_there(client, jobs):
    jobs.is_held = True

    body = upload(client, b"One\nTwo\n").json()

    job_id = body.pop("job_id")
    assert re.fullmatch("[0-9a-f]{32}", job_id)
    assert datetime.fromisoformat(body.pop("created")) < datetime.fromisoformat(body.pop("expires"))
    assert body == {
        "status": "queued",
        "progress": {"done": 0, "total": 2},
        "seconds_remaining": None,
        "format": "lines",
        "source": "en",
        "target": "de",
        "characters": 6,
        "models": None,
        "counts": None,
        "poll_url": f"/v1/batches/{job_id}",
        "result_url": None,
        "error": None,
    }


@pytest.mark.parametrize(
    ("content", "query", "result", "media_type"),
    [
        (b"a\tb\n", {"format": "tsv"}, b"a\tb\tA\n", "text/tab-separated-values; charset=utf-8"),
        (b"<tmx><body/></tmx>", {"format": "tmx"}, b"<tmx><body/></tmx>", "application/x-tmx+xml"),
    ],
)
def test_formats_come_back_as_they_are(client, content, query, result, media_type):
    answer = client.get(f"{upload(client, content, **query).json()['poll_url']}/result")

    assert (answer.content, answer.headers["Content-Type"]) == (result, media_type)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"source": ""}, (400, "invalid_request", "source")),
        ({"target": "xx"}, (400, "unsupported_pair", None)),
        ({"target": "en"}, (400, "unsupported_pair", None)),
        ({"format": "pdf"}, (400, "invalid_request", "format")),
        ({"beam": "5"}, (400, "invalid_request", "beam")),
        ({"beam": "many"}, (400, "invalid_request", "beam")),
        ({"length_penalty": "11"}, (400, "invalid_request", "length_penalty")),
        ({"length_penalty": "nan"}, (400, "invalid_request", "length_penalty")),
        ({"split": "words"}, (400, "invalid_request", "split")),
        ({"format": "tsv", "column": "0"}, (400, "invalid_request", "column")),
        ({"format": "tsv", "column": "x"}, (400, "invalid_document", "column")),
        ({"encoding": "nonsense"}, (400, "invalid_document", "encoding")),
        ({"glossary": "0" * 32}, (404, "not_found", "glossary")),
        ({"nonsense": "1"}, (400, "invalid_request", "nonsense")),
    ],
)
def test_what_cannot_be_served_is_refused(client, folder, query, expected):
    found = failure(upload(client, **query))

    assert (found[0], found[1], found[3]) == expected
    assert not folder.exists() or list(folder.iterdir()) == []


@pytest.mark.parametrize("missing", ["source", "target"])
def test_missing_language_is_named(client, missing):
    query = {"source": "en", "target": "de"}
    del query[missing]

    answer = client.post("/v1/batches", params=query, content=b"a")

    assert failure(answer)[1:4:2] == ("invalid_request", missing)


def test_line_at_fault_is_named(client):
    assert failure(upload(client, b"a\nb\xff\n")) == (
        400,
        "invalid_document",
        "line 2: not utf-8",
        "body",
        None,
    )


@pytest.mark.parametrize("has_length", [True, False])
def test_upload_beyond_the_limit_is_not_read_and_not_kept(client, folder, has_length):
    taken = []

    def blocks() -> Iterator[bytes]:
        for _ in range(100):
            taken.append(1000)
            yield b"x\n" * 20 + b"\n" * 960

    headers = {"Content-Length": "100000"} if has_length else None
    answer = upload(client, blocks(), headers)

    assert failure(answer)[:3] == (413, "too_large", "the body exceeds 3000 bytes")
    assert not folder.exists() or list(folder.iterdir()) == []


def test_body_of_other_routes_keeps_its_limit(client):
    answer = client.post("/v1/batches/x/cancel", content=b"x" * 101)

    assert answer.status_code in {404, 413}
    assert client.post("/v1/translate", content=b"x" * 101).status_code == 413


def test_glossary_is_looked_up(client, models):
    terms = (Term("Yes", "Doch"),)
    glossary = client.app.state.glossaries.create("a", [Dictionary("en", "de", terms)], "").id

    assert upload(client, b"Yes.", glossary=glossary).status_code == 202
    assert [options.terms for options in models.options] == [terms]


def test_queued_batch_tells_so_and_has_no_result(client, jobs):
    jobs.is_held = True

    url = upload(client).json()["poll_url"]
    found = client.get(url)

    assert found.json()["status"] == "queued"
    assert found.headers["Retry-After"] == "1"
    assert failure(client.get(f"{url}/result"))[:3] == (409, "not_ready", "the batch is queued")


def events(client, url: str) -> list[tuple[str, dict]]:
    answer = client.get(f"{url}/events")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    found = re.findall(r"event: (\w+)\r?\ndata: (.*)", answer.text)
    return [(name, json.loads(data)) for name, data in found]


def test_events_end_with_the_batch(client):
    url = upload(client).json()["poll_url"]

    told = events(client, url)

    assert [(name, body["status"]) for name, body in told] == [("end", "done")]
    assert told[0][1] == client.get(url).json()


def test_events_tell_of_progress(client, jobs, monkeypatch):
    monkeypatch.setattr("service.batches.lines.PIECE_CHARACTERS", 5)
    monkeypatch.setattr("service.api.events.LOOK_SECONDS", 0.01)
    jobs.is_held = True
    url = upload(client, b"one\ntwo\nthree\n").json()["poll_url"]
    job_id = url.rpartition("/")[2]
    batches = client.app.state.batches
    states = iter(["queued", "queued", "running"])
    find = batches.find

    async def find_later(id: str, *, owner: str | None = None):
        if next(states, None) is None:
            jobs.run(job_id)
        return await find(id, owner=owner)

    monkeypatch.setattr(batches, "find", find_later)

    assert [(name, body["status"]) for name, body in events(client, url)] == [
        ("progress", "queued"),
        ("end", "done"),
    ]


def test_events_end_when_the_service_does(client, jobs):
    jobs.is_held = True
    url = upload(client).json()["poll_url"]
    client.app.state.intake.close()

    [(name, body)] = events(client, url)

    assert (name, body["error"]["code"]) == ("error", "overloaded")


def test_events_of_a_batch_that_waits_do_not_delay_the_end_of_the_service(
    client, jobs, monkeypatch
):
    monkeypatch.setattr("service.api.events.LOOK_SECONDS", 0.01)
    jobs.is_held = True
    url = upload(client).json()["poll_url"]
    batches, intake = client.app.state.batches, client.app.state.intake
    find, looks = batches.find, iter(range(1000))

    async def find_and_drain(id: str, *, owner: str | None = None):
        if next(looks, None) == 2:
            intake.close()
        return await find(id, owner=owner)

    monkeypatch.setattr(batches, "find", find_and_drain)
    told = events(client, url)

    assert [name for name, _ in told] == ["progress", "error"]
    assert told[1][1]["error"]["message"] == "the service is shutting down"
    assert next(looks) == 3


def test_events_of_what_is_not_there_are_refused_by_status(client):
    assert failure(client.get(f"/v1/batches/{'0' * 32}/events"))[:2] == (404, "not_found")


def test_cancelled_batch_is_still_known(client, jobs):
    jobs.is_held = True
    url = upload(client).json()["poll_url"]

    assert client.post(f"{url}/cancel").json()["status"] == "cancelled"
    assert client.get(url).json()["status"] == "cancelled"
    assert failure(client.get(f"{url}/result"))[:3] == (
        404,
        "not_found",
        "the batch was cancelled, and has no result",
    )


def test_cancelling_what_is_over_changes_nothing(client):
    url = upload(client).json()["poll_url"]

    assert client.post(f"{url}/cancel").json()["status"] == "done"
    assert client.get(f"{url}/result").status_code == 200


def test_deleted_batch_is_gone_from_the_disk(client, folder):
    url = upload(client).json()["poll_url"]

    assert client.delete(url).status_code == 204
    for answer in (client.get(url), client.delete(url), client.post(f"{url}/cancel")):
        assert failure(answer)[:2] == (404, "not_found")
    assert list(folder.iterdir()) == []


def test_list_has_the_newest_first(client, jobs):
    first = upload(client).json()["job_id"]
    jobs.is_held = True
    second = upload(client).json()["job_id"]

    def ids(**query) -> list[str]:
        answer = client.get("/v1/batches", params=query)
        return [each["job_id"] for each in answer.json()["batches"]]

    assert ids() == [second, first]
    assert ids(limit=1) == [second]
    assert ids(status="done") == [first]
    assert client.get("/v1/batches?limit=0").status_code == 400


def test_draining_service_takes_no_batches(client):
    client.app.state.intake.close()

    assert failure(upload(client))[:3] == (503, "overloaded", "the service is shutting down")


def test_upload_that_stands_still_is_given_up(client, folder, monkeypatch):
    monkeypatch.setattr("service.api.batches.STALL_SECONDS", 0.05)

    async def blocks() -> AsyncIterator[bytes]:
        yield b"Good morning.\n"
        await asyncio.Event().wait()

    async def send() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=client.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as sender:
            query = {"source": "en", "target": "de"}
            return await sender.post("/v1/batches", params=query, content=blocks())

    answer = asyncio.run(send())

    assert failure(answer)[:3] == (400, "invalid_request", "body: nothing came for 0.05 seconds")
    assert list(folder.iterdir()) == []


def test_batches_of_a_key_are_its_own(keyed, jobs, folder, models):
    keyed.app.state.batches = Batches(BatchFiles(folder), models, jobs, LIMITS)
    one, other, wrong = (
        {"X-API-Key": keyed.make(scope)} for scope in ("documents", "documents", "translate")
    )

    url = upload(keyed, headers=one).json()["poll_url"]

    assert keyed.get(url, headers=one).status_code == 200
    assert len(keyed.get("/v1/batches", headers=one).json()["batches"]) == 1
    assert keyed.get("/v1/batches", headers=other).json() == {"batches": []}
    for path in (url, f"{url}/result", f"{url}/events"):
        assert keyed.get(path, headers=other).status_code == 404
    assert keyed.delete(url, headers=other).status_code == 404
    assert failure(upload(keyed, headers=wrong))[:2] == (403, "forbidden")
    assert failure(upload(keyed))[:2] == (401, "key_required")


def test_characters_of_a_batch_are_charged(keyed, jobs, folder, models):
    keyed.app.state.batches = Batches(BatchFiles(folder), models, jobs, LIMITS)
    key = {"X-API-Key": keyed.make("documents", characters_per_month=20)}

    assert upload(keyed, b"Good\n\n day\n", headers=key).status_code == 202
    assert keyed.get("/v1/usage", headers=key).json()["characters"] == len("Goodday")
    assert failure(upload(keyed, b"Good morning. " * 2, headers=key))[:2] == (429, "quota_exceeded")
    assert len(list(folder.iterdir())) == 1


def test_batches_without_a_key_are_listed_for_nobody_where_there_are_keys(models, jobs, tmp_path):
    app = create_app(Settings(data=tmp_path, keys="optional"), models)
    app.state.batches = Batches(BatchFiles(tmp_path / "batches"), models, jobs, LIMITS)
    with TestClient(app) as client:
        url = upload(client).json()["poll_url"]

        assert client.get(url).status_code == 200
        assert client.get("/v1/batches").json() == {"batches": []}
