"""Every failure of the native API has one shape, names the field and states the limit."""

import json
import math

import pytest

from service.errors import DeadlineExceeded, ModelFailure, Overloaded

GOOD = {"text": "a", "source": "de", "target": "en"}


def post(client, content, content_type="application/json"):
    headers = {"Content-Type": content_type} if content_type else {}
    return client.post("/v1/translate", content=content, headers=headers)


def failure(answer) -> dict:
    body = answer.json()
    assert list(body) == ["error"]
    assert list(body["error"]) == ["code", "message", "field", "limit", "request_id"]
    assert body["error"]["request_id"] == answer.headers["X-Request-Id"]
    return body["error"]


@pytest.mark.parametrize(
    ("change", "status", "code", "field", "limit"),
    [
        ({"text": 1}, 400, "invalid_request", "text", None),
        ({"text": None}, 400, "invalid_request", "text", None),
        ({"text": {"a": "b"}}, 400, "invalid_request", "text", None),
        ({"text": ["a", 1]}, 400, "invalid_request", "text.1", None),
        ({"text": ["a", None]}, 400, "invalid_request", "text.1", None),
        ({"target": 1}, 400, "invalid_request", "target", None),
        ({"source": None}, 400, "invalid_request", "source", None),
        ({"target": "xx"}, 400, "unsupported_pair", None, None),
        ({"source": "xx"}, 400, "unsupported_pair", None, None),
        ({"source": "\ud800"}, 400, "unsupported_pair", None, None),
        ({"beam": "4"}, 400, "invalid_request", "beam", None),
        ({"beam": True}, 400, "invalid_request", "beam", None),
        ({"beam": 1.5}, 400, "invalid_request", "beam", None),
        ({"beam": 0}, 400, "invalid_request", "beam", 1),
        ({"beam": 5}, 400, "invalid_request", "beam", 4),
        ({"alternatives": -1}, 400, "invalid_request", "alternatives", 0),
        ({"alternatives": None}, 400, "invalid_request", "alternatives", None),
        ({"alternatives": 4}, 400, "invalid_request", "alternatives", 3),
        ({"max_tokens": 0}, 400, "invalid_request", "max_tokens", 1),
        ({"max_tokens": 51}, 400, "invalid_request", "max_tokens", 50),
        ({"length_penalty": "1"}, 400, "invalid_request", "length_penalty", None),
        ({"length_penalty": True}, 400, "invalid_request", "length_penalty", None),
        ({"length_penalty": math.nan}, 400, "invalid_request", "length_penalty", None),
        ({"length_penalty": -0.1}, 400, "invalid_request", "length_penalty", 0),
        ({"length_penalty": 10.1}, 400, "invalid_request", "length_penalty", 10),
        ({"coverage_penalty": None}, 400, "invalid_request", "coverage_penalty", None),
        ({"coverage_penalty": math.inf}, 400, "invalid_request", "coverage_penalty", None),
        ({"coverage_penalty": -1}, 400, "invalid_request", "coverage_penalty", 0),
        ({"coverage_penalty": 11}, 400, "invalid_request", "coverage_penalty", 10),
        ({"no_repeat_ngram": 1.5}, 400, "invalid_request", "no_repeat_ngram", None),
        ({"no_repeat_ngram": -1}, 400, "invalid_request", "no_repeat_ngram", 0),
        ({"no_repeat_ngram": 17}, 400, "invalid_request", "no_repeat_ngram", 16),
        ({"attention": 1}, 400, "invalid_request", "attention", None),
        ({"attention": True, "text": ["a" * 6] * 2}, 413, "text_too_long", "attention", 10),
        ({"priority": "urgent"}, 400, "invalid_request", "priority", None),
        ({"timeout": "soon"}, 400, "invalid_request", "timeout", None),
        ({"timeout": 0}, 400, "invalid_request", "timeout", 0),
        ({"timeout": 3601}, 400, "invalid_request", "timeout", 3600),
        ({"format": "pdf"}, 400, "invalid_request", "format", None),
        ({"ignore_tags": ["a"]}, 400, "invalid_request", "ignore_tags", None),
        ({"format": "xml", "ignore_tags": "a"}, 400, "invalid_request", "ignore_tags", None),
        ({"outline_detection": False}, 400, "invalid_request", "outline_detection", None),
        ({"glossary": 1}, 400, "invalid_request", "glossary", None),
        ({"glossary": [{"source": "a"}]}, 400, "invalid_request", "glossary.terms.0.target", None),
        ({"cache": "no"}, 400, "invalid_request", "cache", None),
        ({"colour": "red"}, 400, "invalid_request", "colour", None),
        ({"text": "a" * 21}, 413, "text_too_long", "text", 20),
        ({"text": ["a" * 21, "b" * 22]}, 413, "text_too_long", "text.0", 20),
        ({"text": ["a"] * 4}, 413, "too_large", "text", 3),
        ({"text": "a" * 1000}, 413, "too_large", "body", 1000),
    ],
)
def test_bad_value_is_named_with_its_limit(client, change, status, code, field, limit):
    answer = post(client, json.dumps(GOOD | change))

    error = failure(answer)
    assert answer.status_code == status
    assert (error["code"], error["field"], error["limit"]) == (code, field, limit)
    assert str(limit) in error["message"] or limit is None


@pytest.mark.parametrize("missing", ["text", "target"])
def test_missing_field_is_named(client, missing):
    body = {name: value for name, value in GOOD.items() if name != missing}

    error = failure(client.post("/v1/translate", json=body))

    assert (error["code"], error["field"]) == ("invalid_request", missing)


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[]", "body"),
        (b'"a"', "body"),
        (b"null", "body"),
        (json.dumps(GOOD).encode()[:-1] + b', "x": NaN, }', "body"),
        ('{"text": "ü", "target": "en"}'.encode("latin-1"), "body"),
        (b"[" * 900, "body"),
        (b'{"text": ["\\ud800"], "source": "de", "target": "en"}', "text.0"),
        (b'{"text": "a", "target": "en", "\\ud800": 1}', "body"),
    ],
)
def test_body_that_is_no_json_object_in_utf_8_is_refused(client, content, field):
    answer = post(client, content)

    assert answer.status_code == 400
    assert failure(answer)["field"] == field


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", None])
def test_other_content_types_are_refused(client, content_type):
    answer = post(client, json.dumps(GOOD), content_type)

    assert answer.status_code == 400
    assert failure(answer)["field"] == "Content-Type"


def test_body_without_a_length_is_measured_while_it_comes(client):
    def chunks():
        for _ in range(11):
            taken.append(100)
            yield b" " * 100

    taken: list[int] = []
    answer = post(client, chunks())

    assert "Content-Length" not in answer.request.headers
    assert answer.status_code == 413
    assert failure(answer)["limit"] == 1000


def test_body_at_the_limit_is_read(client):
    body = json.dumps(GOOD).encode()

    assert post(client, body + b" " * (1000 - len(body))).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", "/web/nothing.js", 404, "not_found"),
        ("GET", "/web/../settings.py", 404, "not_found"),
        ("GET", "/v1/translate", 405, "method_not_allowed"),
        ("POST", "/v1/languages", 405, "method_not_allowed"),
    ],
)
def test_unknown_path_or_method_has_the_same_shape(client, method, path, status, code):
    answer = client.request(method, path)

    assert answer.status_code == status
    assert failure(answer)["code"] == code


def test_wrong_method_is_told_the_right_one(client):
    assert client.get("/v1/translate").headers["Allow"] == "POST"


def test_overload_says_when_to_come_again(client, models):
    async def refuse() -> None:
        raise Overloaded("too much is waiting", retry_after_seconds=7)

    models.on_translate = refuse
    answer = client.post("/v1/translate", json=GOOD)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
    assert failure(answer)["code"] == "overloaded"


def test_deadline_that_passes_is_told_apart_from_other_failures(client, models):
    async def come_too_late() -> None:
        raise DeadlineExceeded("the deadline passed while decoding")

    models.on_translate = come_too_late
    answer = client.post("/v1/translate", json=GOOD | {"timeout": 5})

    assert answer.status_code == 504
    assert failure(answer)["code"] == "deadline_exceeded"


@pytest.mark.parametrize("error", [RuntimeError("secret"), ModelFailure("the model failed")])
def test_bug_tells_nothing_but_the_request_id(client, models, error):
    async def fail() -> None:
        raise error

    models.on_translate = fail
    answer = client.post("/v1/translate", json=GOOD)

    assert answer.status_code == 500
    assert "secret" not in json.dumps(failure(answer))


def test_description_of_the_api_knows_this_shape_and_no_422(client):
    description = client.get("/openapi.json").json()

    answers = description["paths"]["/v1/translate"]["post"]["responses"]
    shape = {"application/json": {"schema": {"$ref": "#/components/schemas/FailureBody"}}}
    assert {status: answers[status]["content"] for status in ("400", "413", "503", "504")} == {
        "400": shape,
        "413": shape,
        "503": shape,
        "504": shape,
    }
    assert "422" not in json.dumps(description)
