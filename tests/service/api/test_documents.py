import asyncio
import json
import re
import threading
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.document_files import DocumentFiles
from service.documents import DocumentLimits, DocumentOptions, Documents, Upload
from service.engine import Term
from service.errors import NotFound, Overloaded
from service.glossaries import Dictionary
from service.settings import Settings
from tests.jobs import InlineJobs

LIMITS = DocumentLimits(
    max_bytes=2000, max_characters=500, max_segments=20, max_documents=3, keep_seconds=3600
)


@pytest.fixture
def jobs() -> InlineJobs:
    return InlineJobs()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "documents"


@pytest.fixture
def documents(models, jobs, folder) -> Documents:
    return Documents(DocumentFiles(folder), models, jobs, LIMITS)


@pytest.fixture
def client(models, documents, tmp_path):
    app = create_app(Settings(data=tmp_path, max_file_bytes=3000, max_body_bytes=100), models)
    app.state.documents = documents
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def upload(client, content=b"Good morning.\n", name="a.txt", **fields):
    form = {"source": "en", "target": "de"} | fields
    return client.post("/v1/documents", files={"file": (name, content)}, data=form)


def failure(answer) -> tuple[int, str, str, str | None, float | None]:
    error = answer.json()["error"]
    return (
        answer.status_code,
        error["code"],
        error["message"],
        error["field"],
        error["limit"],
    )


def test_document_goes_up_and_its_translation_comes_down(client):
    accepted = upload(client, b"Good morning.\r\n\r\nYes.", "my letter.txt")
    found = client.get(accepted.json()["poll_url"])
    result = client.get(found.json()["result_url"])

    assert accepted.status_code == 202
    assert accepted.headers["Location"] == accepted.json()["poll_url"]
    assert accepted.headers["Retry-After"] == "1"
    assert (found.status_code, found.json()["status"]) == (200, "done")
    assert found.json()["progress"] == {"done": 2, "total": 2}
    assert found.json()["characters"] == len("Good morning.Yes.")
    assert result.content == b"GOOD MORNING.\r\n\r\nYES."
    assert result.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert result.headers["Content-Disposition"] == (
        "attachment; filename*=UTF-8''my%20letter.de.txt"
    )


def test_example_of_the_readme_is_answered_as_it_says(client, jobs):
    readme = Path("service/README.md").read_text(encoding="utf-8")
    [example] = re.findall(r"<!-- document -->\n```json\n(.*?)```", readme, re.DOTALL)
    documented = json.loads(example)
    jobs.is_held = True

    answer = upload(client, b"Good morning.\nHow are you?", "letter.txt").json()

    for body in (documented, answer):
        assert body.pop("poll_url") == f"/v1/documents/{body.pop('id')}"
        assert datetime.fromisoformat(body.pop("expires")).tzinfo is not None
    assert answer == documented


def test_document_stays_in_its_format(client):
    cue = b"1\n00:00:01,000 --> 00:00:02,500\nYes.\n"

    id = upload(client, cue, "a.srt").json()["id"]
    result = client.get(f"/v1/documents/{id}/result")

    assert result.content == cue.upper()
    assert result.headers["Content-Type"] == "application/x-subrip"


def test_queued_document_tells_so_and_has_no_result(client, jobs):
    jobs.is_held = True

    id = upload(client).json()["id"]
    found = client.get(f"/v1/documents/{id}")
    early = client.get(f"/v1/documents/{id}/result")

    assert (found.json()["status"], found.json()["result_url"]) == ("queued", None)
    assert found.headers["Retry-After"] == "1"
    assert failure(early)[:3] == (409, "not_ready", "the document is queued")
    assert early.headers["Retry-After"] == "1"


def test_progress_is_told_chunk_by_chunk(client, jobs, documents, monkeypatch):
    monkeypatch.setattr("service.document_work.CHUNK_CHARACTERS", 10)
    told = []
    jobs.is_held = True
    id = upload(client, b"one\ntwo\nthree\nfour\n").json()["id"]
    jobs.before_chunk = lambda: told.append(asyncio.run(documents.find(id)))

    jobs.run(id)

    assert [(each.state, each.done, each.total) for each in told] == [
        ("translating", 0, 4),
        ("translating", 3, 4),
    ]


def test_source_is_found_if_not_given(client):
    body = upload(client, "Größe\n".encode(), source="auto", target="en").json()

    assert (body["source"], body["target"]) == ("de", "en")


def test_document_in_the_target_language_comes_back_as_it_is(client, models):
    body = upload(client, b"Yes.", target="en").json()

    assert client.get(f"/v1/documents/{body['id']}/result").content == b"Yes."
    assert models.options == []


def test_options_reach_the_engine(client, models):
    upload(client, b"One.\n<b>Two</b>\n", "a.html", beam="3")

    assert [(each.beam, each.split) for each in models.options] == [(3, "sentences")]
    assert [each.markup.kind for each in models.options] == ["html"]


def test_glossary_is_looked_up_for_the_languages_of_the_document(client, models):
    terms = (Term("Yes", "Doch"),)
    glossary = client.app.state.glossaries.create("a", [Dictionary("en", "de", terms)], "").id

    assert upload(client, b"Yes.", glossary=glossary).status_code == 202
    assert [options.terms for options in models.options] == [terms]
    assert failure(upload(client, glossary="0" * 32))[:2] == (404, "not_found")
    assert failure(upload(client, glossary=glossary, source="auto"))[:4] == (
        400,
        "invalid_request",
        "glossary: needs the source language to be given",
        "source",
    )


def test_terms_reach_the_engine_and_are_kept_meanwhile(documents, models):
    terms = (Term("Yes", "Doch"), Term("No", "Nein", is_case_sensitive=True))

    asyncio.run(
        documents.submit(Upload(b"Yes.", "a.txt", "de", "en", options=DocumentOptions(terms=terms)))
    )

    assert [options.terms for options in models.options] == [terms]


@pytest.mark.parametrize(
    ("name", "downloaded"),
    [
        ("../../etc/passwd.txt", "passwd.de.txt"),
        ("C:\\letters\\a.txt", "a.de.txt"),
        ('a"\r\nSet-Cookie: x.txt', 'a"Set-Cookie: x.de.txt'),
        ("Größe.TXT", "Größe.de.TXT"),
        ("x" * 1000 + ".txt", "x" * 196 + ".de.txt"),
        ("plain", "plain.de.txt"),
        (".txt", "txt.de.txt"),
    ],
)
def test_name_of_the_result_is_safe(documents, name, downloaded):
    document = asyncio.run(documents.submit(Upload(b"Yes.", name, "de", "en")))

    assert document.result_name == downloaded


def test_header_with_the_name_is_one_line(client):
    id = upload(client, name="a'; x=ü.txt").json()["id"]

    header = client.get(f"/v1/documents/{id}/result").headers["Content-Disposition"]

    assert unquote(header.removeprefix("attachment; filename*=UTF-8''")) == "a'; x=ü.de.txt"
    assert header.isascii()


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"name": "a.exe"}, (415, "unsupported_format")),
        ({"content": b"\xff\xff"}, (400, "invalid_document")),
        ({"content": b"x" * 2001}, (413, "too_large")),
        ({"content": b"x" * 501}, (413, "text_too_long")),
        ({"content": b"x\n" * 21}, (413, "too_large")),
        ({"target": "xx"}, (400, "unsupported_pair")),
        ({"beam": "99"}, (400, "invalid_request")),
        ({"beam": "many"}, (400, "invalid_request")),
        ({"nonsense": "1"}, (400, "invalid_request")),
    ],
)
def test_what_cannot_be_translated_is_refused_at_once(client, folder, changed, expected):
    answer = upload(client, **changed)

    assert failure(answer)[:2] == expected
    assert not folder.exists()


def test_refusal_names_value_and_limit(client):
    assert failure(upload(client, b"x" * 501)) == (
        413,
        "text_too_long",
        "file: 501 characters exceed 500",
        "file",
        500,
    )


def test_body_beyond_the_limit_of_files_is_not_read(client):
    answer = upload(client, b"x" * 70_000)

    assert failure(answer)[:3] == (413, "too_large", "the body exceeds 68536 bytes")


def test_missing_file_is_named(client):
    answer = client.post("/v1/documents", data={"target": "de"})

    assert failure(answer)[:2] == (400, "invalid_request")
    assert failure(answer)[3] == "file"


def test_number_of_documents_has_a_limit(client):
    for _ in range(3):
        assert upload(client).status_code == 202

    assert failure(upload(client))[:3] == (503, "overloaded", "3 documents are kept already")


def test_failed_document_tells_why(client, jobs):
    def refuse():
        raise Overloaded("no")

    jobs.before_chunk = refuse

    id = upload(client).json()["id"]

    found = client.get(f"/v1/documents/{id}").json()
    assert (found["status"], found["error"]["code"]) == ("failed", "overloaded")
    assert failure(client.get(f"/v1/documents/{id}/result"))[:3] == (503, "overloaded", "no")


def test_deleted_document_is_gone_from_the_disk(client, folder):
    id = upload(client).json()["id"]

    assert client.delete(f"/v1/documents/{id}").status_code == 204
    for answer in (client.get(f"/v1/documents/{id}"), client.delete(f"/v1/documents/{id}")):
        assert failure(answer)[:2] == (404, "not_found")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("id", ["nonsense", "0" * 32, "..", "%2e%2e%2fdocuments"])
def test_unknown_id_is_not_found(client, id):
    assert client.get(f"/v1/documents/{id}").status_code == 404


def test_document_of_an_owner_is_not_found_by_others(documents):
    async def ask():
        document = await documents.submit(Upload(b"Yes.", "a.txt", "de", "en", "k1"))
        for owner in ("k2", None):
            with pytest.raises(NotFound):
                await documents.find(document.id, owner=owner)
        return await documents.find(document.id, owner="k1")

    assert asyncio.run(ask()).state == "done"


def test_key_of_a_document_is_checked_where_one_is_given(documents):
    async def ask():
        document = await documents.submit(Upload(b"Yes.", "a.txt", "de", "en"))
        assert await documents.find(document.id, key=document.key)
        with pytest.raises(NotFound, match="no such document"):
            await documents.find(document.id, key="0" * 64)

    asyncio.run(ask())


def test_expired_document_is_not_found_and_is_swept_away(models, jobs, folder):
    limits = DocumentLimits(2000, 500, 20, 3, keep_seconds=0.0)
    documents = Documents(DocumentFiles(folder), models, jobs, limits)

    async def ask():
        document = await documents.submit(Upload(b"Yes.", "a.txt", "de", "en"))
        with pytest.raises(NotFound, match="no such document"):
            await documents.find(document.id)
        # For ever, but the first round comes before the first pause.
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(documents.sweep(), timeout=0.5)
        return document.id

    id = asyncio.run(ask())

    assert jobs.status(id) is None
    assert list(folder.iterdir()) == []


def test_waiting_ends_when_the_document_is_done(documents, jobs):
    jobs.is_held = True

    async def ask():
        document = await documents.submit(Upload(b"Yes.", "a.txt", "de", "en"))
        threading.Thread(target=jobs.run, args=[document.id]).start()
        waited = await documents.wait(document.id)
        return waited.state, (await documents.read(document.id)).content

    assert asyncio.run(ask()) == ("done", b"YES.")


def test_draining_service_takes_no_documents(client):
    client.app.state.intake.close()

    assert failure(upload(client))[:3] == (503, "overloaded", "the service is shutting down")
