"""Files in the dialect of LibreTranslate: sent in one request, fetched from an address."""

import asyncio
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.document_files import DocumentFiles
from service.documents import DocumentLimits, Documents
from service.settings import Settings
from tests.jobs import InlineJobs

LIMITS = DocumentLimits(
    max_bytes=2000, max_characters=500, max_segments=20, max_documents=3, keep_seconds=3600
)


@pytest.fixture
def jobs() -> InlineJobs:
    return InlineJobs()


@pytest.fixture
def app(models, jobs, tmp_path):
    app = create_app(Settings(data=tmp_path, max_body_bytes=100), models)
    files = DocumentFiles(tmp_path / "documents")
    app.state.documents = Documents(files, models, jobs, LIMITS)
    return app


@pytest.fixture
def client(app):
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def send(client, content=b"Good morning.\n", name="a.txt", **fields):
    form = {"source": "en", "target": "de"} | fields
    return client.post("/translate_file", files={"file": (name, content)}, data=form)


def refusal(answer) -> tuple[int, str]:
    assert answer.json().keys() == {"error"}
    return answer.status_code, answer.json()["error"]


def test_file_is_fetched_from_the_address_in_the_answer(client):
    text = b"Good morning.\r\n" * 10  # longer than the body of other requests may be

    answer = send(client, text)
    url = answer.json()["translatedFileUrl"]
    result = client.get(url)

    assert answer.status_code == 200
    assert url.startswith("http://testserver/download_file/")
    assert url.endswith(".txt")
    assert (result.status_code, result.content) == (200, text.upper())
    assert result.headers["Content-Disposition"] == "attachment; filename*=UTF-8''a.de.txt"


def test_language_of_a_file_may_be_found(client):
    answer = send(client, "Schöne Tür\n".encode(), source="auto", target="en")

    assert client.get(answer.json()["translatedFileUrl"]).text == "SCHÖNE TÜR\n"


def test_addresses_cannot_be_guessed(client):
    names = [urlsplit(send(client).json()["translatedFileUrl"]).path for _ in range(2)]

    assert names[0] != names[1]
    assert all(len(name.split("/")[-1].split(".")[0]) == 32 for name in names)


@pytest.mark.parametrize(
    "name",
    [
        "0" * 32 + ".txt",
        "document.json",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e",
        ".",
        "%00",
        "0" * 32 + "%2fdocument.json",
    ],
)
def test_what_is_no_result_is_not_found(client, name):
    send(client)

    assert refusal(client.get(f"/download_file/{name}"))[0] == 404


@pytest.mark.parametrize("field", ["source", "target"])
def test_languages_must_be_given(client, field):
    assert refusal(send(client, **{field: ""})) == (
        400,
        f"Invalid request: missing {field} parameter",
    )


def test_file_must_be_given(client):
    form = {"source": "en", "target": "de"}
    sentence = "Invalid request: missing file parameter"

    assert refusal(client.post("/translate_file", data=form)) == (400, sentence)
    assert refusal(client.post("/translate_file", data={**form, "file": "a"})) == (400, sentence)


def test_language_that_is_not_served_is_named(client):
    assert refusal(send(client, target="zz")) == (400, "zz is not supported")


def test_format_that_is_not_known_is_refused(client):
    assert refusal(send(client, b"\x7fELF", "a.exe"))[0] == 415


def test_file_beyond_the_limit_is_refused(client):
    assert refusal(send(client, b"a " * 1500))[0] == 413


def test_front_end_is_told_of_the_formats(client):
    settings = client.get("/frontend/settings").json()

    assert settings["filesTranslation"] is True
    assert ".txt" in settings["supportedFilesFormat"]


def test_key_must_be_for_documents(keyed):
    statuses = [
        send(keyed).status_code,
        send(keyed, api_key=keyed.make("translate")).status_code,
        send(keyed, b"", "a.exe", api_key=keyed.make("documents")).status_code,
    ]

    assert statuses == [400, 403, 415]


def test_departure_of_the_client_removes_the_document(app, jobs, tmp_path):
    jobs.is_held = True
    form = b'--x\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
    parts = [
        (b"file", b'; filename="a.txt"', b"Good morning."),
        (b"source", b"", b"en"),
        (b"target", b"", b"de"),
    ]
    body = b"".join(form % part for part in parts) + b"--x--\r\n"
    messages = [{"type": "http.request", "body": body, "more_body": False}]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/translate_file",
        "query_string": b"",
        "headers": [(b"content-type", b"multipart/form-data; boundary=x")],
    }

    async def receive():
        return messages.pop() if messages else {"type": "http.disconnect"}

    statuses = []

    async def send_message(message):
        statuses.append(message.get("status"))

    asyncio.run(app(scope, receive, send_message))

    assert statuses[0] == 499
    assert list((tmp_path / "documents").iterdir()) == []
