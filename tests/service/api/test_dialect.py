"""Failures are answered in the words of the dialect that was spoken to."""

import pytest
from fastapi import APIRouter, FastAPI
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from service.api.dialect import Unrouted, dialect
from service.errors import Overloaded


def words_of(name: str):
    def render(_, error):
        return PlainTextResponse(f"{name}: {error.code}", error.status)

    return render


@pytest.fixture
def client():
    router = APIRouter(route_class=dialect(words_of("one")))

    @router.get("/one/busy")
    async def be_busy():
        raise Overloaded("too much", retry_after_seconds=7)

    async def fail():
        raise RuntimeError("a bug")

    app = FastAPI()
    app.include_router(router)
    app.add_api_route("/one/more/bug", fail)
    renders = {"": words_of("rest"), "/one": words_of("one"), "/one/more": words_of("more")}
    for kind in (HTTPException, Exception):
        app.add_exception_handler(kind, Unrouted(renders))
    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("method", "path", "answer", "status"),
    [
        ("GET", "/", "rest: not_found", 404),
        ("GET", "/oneself", "rest: not_found", 404),
        ("GET", "/one", "one: not_found", 404),
        ("GET", "/one/thing", "one: not_found", 404),
        ("GET", "/one/more", "more: not_found", 404),
        ("POST", "/one/busy", "one: method_not_allowed", 405),
        ("GET", "/one/more/bug", "more: internal_error", 500),
    ],
)
def test_longest_beginning_of_the_path_chooses_the_words(client, method, path, answer, status):
    answered = client.request(method, path)

    assert (answered.text, answered.status_code) == (answer, status)


def test_headers_that_every_dialect_owes_are_added(client):
    assert client.get("/one/busy").headers["Retry-After"] == "7"
    assert client.post("/one/busy").headers["Allow"] == "GET"
