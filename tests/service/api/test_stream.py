"""Server-sent events of a translation before models whose translations are known."""

import asyncio
import json

import fastapi.routing
import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.errors import DeadlineExceeded, Overloaded
from service.settings import Settings

TIMEOUT_SECONDS = 10
BODY = {"text": "guten Tag", "source": "de", "target": "en"}


def events(text: str) -> list[tuple[str, dict]]:
    """Read events as the standard of HTML has them; comments are none."""
    found = []
    for block in text.split("\n\n"):
        lines = [line.partition(": ") for line in block.splitlines() if not line.startswith(":")]
        fields = {name: value for name, _, value in lines}
        if fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


def ask(client, **change):
    return client.post("/v1/translate/stream", json=BODY | change)


def test_sentences_come_as_they_are_done_and_the_translation_last(client):
    answer = ask(client)

    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.headers["X-Model-Version"] == "shout/1"
    (_, second), (_, first), (name, translation) = events(answer.text)
    assert (first["index"], first["source_span"], first["text"]) == (0, [0, 5], "GUTEN")
    assert second == {
        "index": 1,
        "num_sentences": 2,
        "source_span": [6, 9],
        "text": "TAG",
        "score": -0.5,
        "confidence": 0.9,
        "finish_reason": "eos",
    }
    assert name == "translation"
    assert translation == client.post("/v1/translate", json=BODY).json()["translations"][0]


def test_options_are_those_of_translating(client, models):
    ask(client, format="html", ignore_tags=["b"], cache=False, beam=2)

    client.post(
        "/v1/translate",
        json=BODY | {"format": "html", "ignore_tags": ["b"], "cache": False, "beam": 2},
    )
    assert models.options[0] == models.options[1]


def test_text_found_to_be_in_the_target_language_comes_back_at_once(client):
    [(name, translation)] = events(ask(client, text="day", source="auto").text)

    assert (name, translation["text"], translation["model"]) == ("translation", "day", "")
    assert translation["detection"]["language"] == "en"


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"text": ["a"]}, 400, "text"),
        ({"text": "a" * 21}, 413, "text"),
        ({"beam": 5}, 400, "beam"),
        ({"target": "xx"}, 400, None),
        ({"glossary": "none"}, 404, None),
        ({"more": 1}, 400, "more"),
    ],
)
def test_what_cannot_begin_is_answered_by_its_status(client, change, status, field):
    answer = ask(client, **change)

    assert answer.status_code == status
    assert answer.json()["error"]["field"] == field or field is None


def test_failure_before_the_first_sentence_is_answered_by_its_status(client, models):
    async def refuse(_: int) -> None:
        raise Overloaded("too much is waiting", retry_after_seconds=7)

    models.on_sentence = refuse
    answer = ask(client)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DeadlineExceeded("too late"), "deadline_exceeded"),
        (RuntimeError("secret"), "internal_error"),
    ],
)
def test_failure_after_the_first_sentence_is_the_last_event(client, models, error, code):
    async def fail(index: int) -> None:
        if index == 0:
            raise error

    models.on_sentence = fail
    answer = ask(client)

    (first, _), (last, failure) = events(answer.text)
    assert (answer.status_code, first, last) == (200, "sentence", "error")
    assert failure["error"]["code"] == code
    assert failure["error"]["request_id"] == answer.headers["X-Request-Id"]
    assert "secret" not in answer.text


class Listener:
    """A client that reads a stream by hand, and goes when it has read enough."""

    def __init__(self, app) -> None:
        self._app = app
        self._is_gone = asyncio.Event()
        self._body = [
            {"type": "http.request", "body": json.dumps(BODY).encode(), "more_body": False}
        ]
        self.chunks: asyncio.Queue[bytes] = asyncio.Queue()

    def leave(self) -> None:
        self._is_gone.set()

    async def listen(self) -> None:
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/translate/stream",
            "query_string": b"",
            "headers": [(b"content-type", b"application/json")],
        }
        await self._app(scope, self._receive, self._send)

    async def _receive(self):
        if self._body:
            return self._body.pop()
        await self._is_gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message) -> None:
        if message.get("body"):
            self.chunks.put_nowait(message["body"])


class Endless:
    """Work on one sentence that never ends, and knows when it was given up."""

    def __init__(self, index: int) -> None:
        self._index = index
        self.is_begun, self.is_given_up = asyncio.Event(), asyncio.Event()

    async def __call__(self, index: int) -> None:
        if index == self._index:
            self.is_begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.is_given_up.set()
                raise


@pytest.mark.parametrize("index", [0, 1])
def test_departure_of_the_client_gives_up_what_is_not_done(app, models, index):
    async def leave() -> None:
        models.on_sentence = work = Endless(index)
        listener = Listener(app)
        async with asyncio.timeout(TIMEOUT_SECONDS), asyncio.TaskGroup() as group:
            group.create_task(listener.listen())
            await work.is_begun.wait()
            listener.leave()
            await work.is_given_up.wait()

    asyncio.run(leave())


def test_connection_is_kept_alive_while_a_sentence_takes_long(app, models, monkeypatch):
    monkeypatch.setattr(fastapi.routing, "_PING_INTERVAL", 0.01)

    async def listen() -> list[bytes]:
        models.on_sentence = Endless(0)
        listener = Listener(app)
        async with asyncio.timeout(TIMEOUT_SECONDS), asyncio.TaskGroup() as group:
            group.create_task(listener.listen())
            chunks = [await listener.chunks.get() for _ in range(3)]
            listener.leave()
        return chunks

    first, *pings = asyncio.run(listen())
    assert first.startswith(b"event: sentence")
    assert all(ping.startswith(b":") for ping in pings)


def test_caller_is_charged_for_the_sentences_that_were_sent(app, client, models):
    async def fail(index: int) -> None:
        if index == 0:
            raise DeadlineExceeded("too late")

    models.on_sentence = fail
    ask(client)

    assert client.get("/v1/usage").json()["characters"] == len("Tag")


def test_real_bundle_streams_what_it_translates(tiny_bundle):
    text = "Guten Morgen. Wie geht es dir?\n\nDas Haus."

    app = create_app(Settings(bundles=tiny_bundle.path.parents[1], workers=1))
    with TestClient(app) as client:
        app.state.library.started.result(TIMEOUT_SECONDS)
        *sentences, (_, last) = events(ask(client, text=text).text)
        [whole] = client.post("/v1/translate", json=BODY | {"text": text}).json()["translations"]

    assert last == whole
    by_index = {data["index"]: data for _, data in sentences}
    assert sorted(by_index) == [0, 1, 2]
    for i, sentence in enumerate(whole["sentences"]):
        begin, end = sentence["target_span"]
        assert by_index[i]["text"] == whole["text"][begin:end]
        assert by_index[i]["source_span"] == sentence["source_span"]
