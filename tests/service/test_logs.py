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
from service.record import current_record


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

    async def translate(request: Request) -> PlainTextResponse:
        record = current_record()
        for model in ("b/2", "a/1", "b/2"):
            record.note_model(model)
        for queue, encode, decode in json.loads(request.query_params["sentences"]):
            record.note_sentence(0.0, queue, queue + encode, queue + encode + decode)
        return PlainTextResponse("")

    routes = {"/greetings/{name}": greet, "/livez": greet, "/translate": translate}
    app = Starlette(routes=[Route(path, route) for path, route in routes.items()])
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


TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize(
    ("offered", "flags"),
    [
        (f"00-{TRACE}-b7ad6b7169203331-01", "01"),
        (f"00-{TRACE}-b7ad6b7169203331-00", "00"),
        (f"cc-{TRACE}-b7ad6b7169203331-03-what-the-future-brings", "01"),
    ],
)
def test_trace_of_the_caller_goes_on_in_log_and_answer(client, stream, offered, flags):
    answer = client.get("/greetings/ada", headers={"traceparent": offered})

    version, trace, span, answered_flags = answer.headers["traceparent"].split("-")
    assert (version, trace, answered_flags) == ("00", TRACE, flags)
    assert span != "b7ad6b7169203331"
    [line] = served(stream)
    assert (line["trace_id"], line["span_id"]) == (TRACE, span)


@pytest.mark.parametrize(
    "offered",
    [
        "",
        "no trace",
        f"00-{TRACE}-b7ad6b7169203331",
        f"00-{TRACE}-b7ad6b7169203331-01-more",
        f"00-{TRACE.upper()}-b7ad6b7169203331-01",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-b7ad6b7169203331-01",
    ],
)
def test_what_is_no_trace_is_passed_over(client, stream, offered):
    answer = client.get("/greetings/ada", headers={"traceparent": offered})

    assert "traceparent" not in answer.headers
    assert "trace_id" not in served(stream)[0]


def test_answer_tells_of_the_models_and_of_the_longest_time_in_each_stage(client):
    sentences = [(0.25, 0.01, 0.5), (0.125, 0.02, 1.0)]

    answer = client.get("/translate", params={"sentences": json.dumps(sentences)})

    assert answer.headers["X-Model-Version"] == "a/1, b/2"
    total, *stages = answer.headers["Server-Timing"].split(", ")
    assert total.startswith("total;dur=")
    assert stages == ["queue;dur=250.0", "encode;dur=20.0", "decode;dur=1000.0"]


def test_answer_without_a_translation_tells_the_whole_time_only(client):
    answer = client.get("/greetings/ada")

    assert answer.headers["Server-Timing"].count("dur=") == 1
    assert "X-Model-Version" not in answer.headers
