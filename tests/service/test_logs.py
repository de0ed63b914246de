import io
import json
import logging

import pytest
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from service import logs


@pytest.fixture
def stream():
    root = logging.getLogger()
    before = root.handlers, root.level
    yield io.StringIO()
    root.handlers, root.level = before


def lines(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_event_is_a_line_of_json_with_its_fields(stream):
    logs.configure("info", "json", stream)

    logging.getLogger("service.engine").info("model loaded", extra={"model": "de-en/3"})

    [line] = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "model loaded",
        "level": "info",
        "logger": "service.engine",
        "model": "de-en/3",
    }


def test_level_holds_back_what_is_below_it(stream):
    logs.configure("warning", "json", stream)

    logging.getLogger("service.engine").info("model loaded")

    assert stream.getvalue() == ""


def test_event_knows_the_request_it_belongs_to(stream):
    logs.configure("info", "json", stream)

    with structlog.contextvars.bound_contextvars(request_id="r1"):
        logging.getLogger("service").info("decoding")

    assert lines(stream)[0]["request_id"] == "r1"


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_trace_shows_where_but_no_values(stream, log_format):
    def fail_with(text: str) -> None:
        raise RuntimeError("device lost")

    logs.configure("info", log_format, stream)
    text = "yraid raed"[::-1]  # a trace quotes the program, and this line is part of it
    try:
        fail_with(text)
    except RuntimeError:
        logging.getLogger("service").exception("decoding failed")

    assert "fail_with" in stream.getvalue()
    assert "device lost" in stream.getvalue()
    assert "diary" not in stream.getvalue()


def test_line_for_a_person_has_event_and_fields(stream):
    logs.configure("info", "console", stream)

    logging.getLogger("service").info("model loaded", extra={"model": "de-en/3"})

    assert "model loaded" in stream.getvalue()
    assert "model=de-en/3" in stream.getvalue()


@pytest.fixture
def client(stream):
    async def greet(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.state.request_id)

    app = Starlette(routes=[Route("/greetings/{name}", greet), Route("/livez", greet)])
    app.add_middleware(logs.RequestLog)
    logs.configure("info", "json", stream)
    return TestClient(app)


def served(stream: io.StringIO) -> list[dict]:
    return [line for line in lines(stream) if line["event"] == "request served"]


def test_end_of_a_request_is_logged_with_its_route_and_id(client, stream):
    answer = client.get("/greetings/ada?secret=1", headers={"X-Request-Id": "r7"})

    [line] = served(stream)
    assert answer.text == answer.headers["X-Request-Id"] == line["request_id"] == "r7"
    assert (line["method"], line["route"], line["status"]) == ("GET", "/greetings/{name}", 200)
    assert "secret" not in json.dumps(line)


def test_path_without_a_route_is_not_logged(client, stream):
    client.get("/my-dear-diary")

    assert served(stream)[0]["route"] == "unknown"


def test_probes_are_not_worth_a_line(client, stream):
    client.get("/livez")

    assert served(stream) == []
