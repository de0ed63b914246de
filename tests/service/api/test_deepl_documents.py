"""Documents go up, are asked for and come down as clients of DeepL do it."""

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.document_files import DocumentFiles
from service.documents import DocumentLimits, Documents
from service.engine import Term
from service.errors import ModelFailure
from service.settings import Settings
from tests.jobs import InlineJobs

LIMITS = DocumentLimits(
    max_bytes=2000, max_characters=500, max_segments=20, max_documents=3, keep_seconds=3600
)
TEXT = b"Good morning.\n\nYes.\n"


@pytest.fixture
def jobs() -> InlineJobs:
    return InlineJobs()


@pytest.fixture
def client(models, jobs, tmp_path):
    app = create_app(Settings(data=tmp_path, max_file_bytes=3000, max_body_bytes=100), models)
    app.state.documents = Documents(DocumentFiles(tmp_path / "documents"), models, jobs, LIMITS)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def upload(client, name="a.txt", content=TEXT, **fields):
    form = {"target_lang": "DE"} | fields
    return client.post("/v2/document", files={"file": (name, content)}, data=form)


def ask(client, handle, *, result=False, **change):
    path = f"/v2/document/{handle['document_id']}" + "/result" * result
    return client.post(path, json={"document_key": handle["document_key"]} | change)


def test_document_goes_up_and_its_translation_comes_down_once(client):
    accepted = upload(client)
    handle = accepted.json()
    status = ask(client, handle)
    result = ask(client, handle, result=True)

    assert accepted.status_code == 200
    assert list(handle) == ["document_id", "document_key"]
    assert status.json() == {
        "document_id": handle["document_id"],
        "status": "done",
        "billed_characters": 17,
    }
    assert (result.status_code, result.content) == (200, TEXT.upper())
    assert "attachment" in result.headers["Content-Disposition"]
    assert result.headers["X-Trace-ID"]
    assert ask(client, handle).status_code == 404
    assert ask(client, handle, result=True).status_code == 404


def test_key_may_come_in_a_form(client):
    handle = upload(client, source_lang="EN").json()

    answer = client.post(
        f"/v2/document/{handle['document_id']}", data={"document_key": handle["document_key"]}
    )

    assert answer.json()["status"] == "done"


def test_result_is_refused_until_it_is_there(client, jobs):
    jobs.is_held = True
    handle = upload(client).json()

    status, early = ask(client, handle), ask(client, handle, result=True)
    jobs.run(handle["document_id"])

    assert status.json() == {"document_id": handle["document_id"], "status": "queued"}
    assert (early.status_code, list(early.json())) == (503, ["message"])
    assert early.headers["Retry-After"]
    assert ask(client, handle, result=True).status_code == 200


def test_failure_is_told_in_the_status(client, jobs):
    def fail() -> None:
        raise ModelFailure("the model failed")

    jobs.before_chunk = fail
    handle = upload(client).json()

    assert ask(client, handle).json() == {
        "document_id": handle["document_id"],
        "status": "error",
        "error_message": "the model failed",
        "message": "the model failed",
    }
    assert ask(client, handle, result=True).status_code == 500


@pytest.mark.parametrize("field", ["glossary_id", "glossary_ids"])
def test_document_is_bound_to_the_terms_of_a_glossary(client, models, field):
    glossary = {"source_lang": "en", "target_lang": "de", "entries": "yes\tjawohl"}
    made = client.post("/v2/glossaries", json={"name": "a"} | glossary).json()

    handle = upload(client, source_lang="EN", **{field: made["glossary_id"]}).json()

    assert ask(client, handle).json()["status"] == "done"
    assert models.options[-1].terms == (Term("yes", "jawohl"),)


def test_field_names_the_file_of_a_bare_stream(client):
    handle = upload(client, name="file", filename="letter.txt").json()

    result = ask(client, handle, result=True)

    assert "letter.DE.txt" in result.headers["Content-Disposition"]


@pytest.mark.parametrize("change", [{"document_key": "0" * 64}, {"document_key": ""}])
def test_wrong_key_finds_nothing(client, change):
    handle = upload(client).json()

    assert ask(client, handle, **change).status_code == 404
    assert ask(client, handle, result=True, **change).status_code == 404
    assert ask(client, handle).status_code == 200


def test_missing_key_is_named(client):
    handle = upload(client).json()

    answer = ask(client, handle, document_key=None)

    assert (answer.status_code, answer.json()) == (
        400,
        {"message": "Parameter 'document_key' not specified."},
    )


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({"target_lang": ""}, 400, "Value for 'target_lang' not supported."),
        ({"target_lang": "xx"}, 400, "Value for 'target_lang' not supported."),
        ({"source_lang": "xx"}, 400, "Value for 'source_lang' not supported."),
        ({"formality": "less"}, 400, "'formality' is not supported for given 'target_lang'."),
        ({"glossary_id": "a"}, 400, "Use of a glossary requires the source_lang parameter"),
        ({"glossary_id": "a", "source_lang": "EN"}, 404, "there is no such glossary"),
        ({"style_id": "a"}, 400, "Value for 'style_id' not supported."),
        ({"output_format": "docx"}, 415, "output_format: txt cannot become docx"),
        ({"filename": "a.xyz"}, 415, None),
    ],
)
def test_upload_that_cannot_be_translated_is_refused_at_once(client, fields, status, message):
    answer = upload(client, **fields)

    assert (answer.status_code, list(answer.json())) == (status, ["message"])
    assert message is None or answer.json()["message"].startswith(message)


def test_output_format_of_the_file_itself_changes_nothing(client):
    assert upload(client, output_format=".TXT").status_code == 200


def test_file_must_be_one(client):
    answers = [
        client.post("/v2/document", data={"target_lang": "de"}),
        client.post("/v2/document", data={"target_lang": "de", "file": "text"}),
    ]

    assert [answer.status_code for answer in answers] == [400, 400]
    assert answers[0].json() == {"message": "Parameter 'file' not specified."}


def test_file_beyond_the_limit_is_too_large(client):
    assert upload(client, content=b"a" * 4000).status_code == 413


def test_document_is_for_the_key_that_sent_it(keyed, models, jobs, tmp_path):
    files = DocumentFiles(tmp_path / "documents")
    keyed.app.state.documents = Documents(files, models, jobs, LIMITS)
    own, other = ({"Authorization": f"Bearer {keyed.make('documents')}"} for _ in range(2))
    keyed.headers.update(own)
    handle = upload(keyed).json()

    keyed.headers.update(other)
    assert ask(keyed, handle).status_code == 404
    assert ask(keyed, handle, result=True).status_code == 404
    keyed.headers.update(own)
    assert ask(keyed, handle, result=True).status_code == 200
