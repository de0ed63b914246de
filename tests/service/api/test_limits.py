"""What a request may weigh, and from where pages may send it."""

import json

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings

ORIGIN = "https://page.example"
BODY = {"text": "a", "source": "de", "target": "en"}


@pytest.fixture
def small(models, tmp_path):
    settings = Settings(
        data=tmp_path, max_texts=3, max_text_characters=6, max_characters=10, max_body_bytes=200
    )
    with TestClient(create_app(settings, models), raise_server_exceptions=False) as client:
        yield client


def test_texts_are_limited_one_by_one_and_in_all(small):
    def limit(*texts: str) -> tuple[int, object]:
        answer = small.post("/v1/translate", json=BODY | {"text": list(texts)})
        return answer.status_code, answer.json().get("error", {}).get("limit")

    assert limit("a" * 6, "b" * 4) == (200, None)
    assert limit("a" * 6, "b" * 5) == (413, 10)
    assert limit("a" * 7) == (413, 6)
    assert limit(*"abcd") == (413, 3)


def test_pages_of_other_origins_may_not_call_unless_told(client):
    answer = client.post("/v1/translate", json=BODY, headers={"Origin": ORIGIN})

    assert [name for name in answer.headers if name.startswith("access-control")] == []


@pytest.fixture(params=["*", f"https://other.example,{ORIGIN}"])
def open_to(request, models, tmp_path):
    settings = Settings(data=tmp_path, cors_origins=request.param, max_texts=1)
    with TestClient(create_app(settings, models)) as client:
        yield client, ("*" if request.param == "*" else ORIGIN)


@pytest.mark.parametrize("path", ["/v1/translate", "/v2/translate", "/translate"])
@pytest.mark.parametrize("header", ["Authorization", "Content-Type", "X-API-Key"])
def test_browser_is_told_before_that_the_page_may_call(open_to, path, header):
    client, origin = open_to
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": header,
    }

    answer = client.options(path, headers=asked)

    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert header.lower() in answer.headers["Access-Control-Allow-Headers"].lower()


def test_page_may_read_answers_and_failures(open_to):
    client, origin = open_to

    for texts in (["a"], ["a", "b"]):
        body = json.dumps(BODY | {"text": texts})
        headers = {"Origin": ORIGIN, "Content-Type": "application/json"}
        answer = client.post("/v1/translate", content=body, headers=headers)
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]


def test_page_of_another_origin_is_not_let_in(models, tmp_path):
    app = create_app(Settings(data=tmp_path, cors_origins=ORIGIN), models)

    with TestClient(app) as client:
        answer = client.post("/v1/translate", json=BODY, headers={"Origin": "https://bad.example"})

    assert "Access-Control-Allow-Origin" not in answer.headers
