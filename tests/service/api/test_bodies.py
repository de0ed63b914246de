"""A request says the same in JSON, in either form, and in the query string."""

import io
import json
from urllib.parse import quote, urlencode

import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from starlette.datastructures import UploadFile
from starlette.testclient import TestClient

from service.api.bodies import MAX_FIELDS, Fields, parse, request_body
from service.api.dialect import dialect
from service.errors import ServiceError

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Inner(BaseModel):
    text: str


class Order(BaseModel):
    count: int = 0
    inner: list[Inner] = []


def render(request: Request, error: ServiceError) -> Response:
    return Response(str(error), error.status)


router = APIRouter(route_class=dialect(render))


@router.api_route("/echo", methods=["GET", "POST"], include_in_schema=False)
async def echo(fields: Fields) -> dict[str, object]:
    return {
        name: (value.filename, (await value.read()).decode())
        if isinstance(value, UploadFile)
        else value
        for name, value in fields.items()
    }


@router.post("/order", openapi_extra=request_body(Order))
async def order(fields: Fields) -> Order:
    return parse(Order, fields)


app = FastAPI()
app.include_router(router)
client = TestClient(app, raise_server_exceptions=False)

texts = st.text(st.characters(exclude_categories=["Cs"]))


@settings(max_examples=50, deadline=None)
@given(text=texts, other=texts)
def test_any_text_arrives_whole_however_it_is_sent(text, other):
    fields = {"q": text, "source": other}

    answers = [
        client.post("/echo", json=fields),
        client.post("/echo", data=fields),
        client.post("/echo?" + urlencode(fields)),
    ]

    assert [answer.json() for answer in answers] == [fields] * 3


def multipart(name: str, value: str) -> dict[str, object]:
    body = f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n--x--\r\n'
    return {
        "content": body.encode(),
        "headers": {"Content-Type": "multipart/form-data; boundary=x"},
    }


def test_multipart_fields_arrive_whole():
    text = "  häßlich 😀\r\n\n"

    assert client.post("/echo", **multipart("q", text)).json() == {"q": text}


def test_bytes_that_a_form_or_query_does_not_escape_are_utf_8():
    content = "q=Grüße 😀".encode()

    assert client.post("/echo", content=content, headers=FORM).json() == {"q": "Grüße 😀"}


def test_repeated_fields_are_a_list_in_order():
    answers = [client.post("/echo", content="q=b&q=a", headers=FORM), client.get("/echo?q=b&q=a")]

    assert [answer.json() for answer in answers] == [{"q": ["b", "a"]}] * 2


def test_body_wins_over_the_query_string():
    assert client.post("/echo?q=query&r=query", json={"q": "body"}).json() == {
        "q": "body",
        "r": "query",
    }


@pytest.mark.parametrize("media_type", ["application/json", FORM["Content-Type"], "", "text/plain"])
def test_empty_body_leaves_the_query_string_whatever_its_type(media_type):
    answer = client.post("/echo?q=a", headers={"Content-Type": media_type})

    assert answer.json() == {"q": "a"}


def test_get_may_have_a_body():
    answer = client.request("GET", "/echo", content="type=target", headers=FORM)

    assert answer.json() == {"type": "target"}


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "application/x+json"])
def test_json_is_known_by_its_media_type(media_type):
    answer = client.post("/echo", content='{"q": 1}', headers={"Content-Type": media_type})

    assert answer.json() == {"q": 1}


def test_file_arrives_with_its_name():
    answer = client.post("/echo", files={"file": ("a.txt", io.BytesIO(b"text"))})

    assert answer.json() == {"file": ["a.txt", "text"]}


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"[1]", "application/json"),
        (b'"text"', "application/json"),
        (b"{", "application/json"),
        (b"[" * 10_000, "application/json"),
        (b'{"q": "\\ud800"}', "application/json"),
        (b'{"q": NaN}', "application/json"),
        (b'{"q": "\xff"}', "application/json"),
        (b"q=\xff", "application/x-www-form-urlencoded"),
        (b"q=%ff", "application/x-www-form-urlencoded"),
        (b"&".join([b"q=a"] * (MAX_FIELDS + 1)), "application/x-www-form-urlencoded"),
        (b"q", "multipart/form-data"),
        (b"q", "multipart/form-data; boundary=x"),
        (b"--x\r\n\r\na\r\n--x--", "multipart/form-data; boundary=x"),
        (b"q=a", "text/plain"),
        (b"q=a", ""),
    ],
)
def test_what_cannot_be_read_is_refused_with_400(content, media_type):
    answer = client.post("/echo", content=content, headers={"Content-Type": media_type})

    assert answer.status_code == 400, answer.text


def test_query_string_that_is_not_utf_8_is_refused():
    answer = client.get("/echo?q=%ff")

    assert (answer.status_code, answer.text) == (400, "the query is not UTF-8")


def test_numbers_of_forms_are_numbers():
    content = urlencode({"count": "3"})

    assert client.post("/order", content=content, headers=FORM).json()["count"] == 3


def test_field_that_the_model_refuses_is_named():
    answer = client.post("/order", json={"inner": [{"text": 1}]})

    assert answer.status_code == 400
    assert answer.text == "inner.0.text: Input should be a valid string"


def test_description_names_every_way_and_refers_to_nothing():
    body = app.openapi()["paths"]["/order"]["post"]["requestBody"]

    assert sorted(body["content"]) == [
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ]
    assert "$ref" not in json.dumps(body)
    schema = body["content"]["application/json"]["schema"]
    assert schema["properties"]["inner"]["items"]["properties"]["text"]["type"] == "string"


def test_plus_and_percent_are_read_as_forms_mean_them():
    content = f"q=a+b{quote('+%')}"

    assert client.post("/echo", content=content, headers=FORM).json() == {"q": "a b+%"}
