"""Every route asks for a key where keys are required, but for those that anyone may know."""

import re

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings

PUBLIC = {
    "/startupz",
    "/livez",
    "/readyz",
    "/metrics",
    "/v1/languages",
    "/v1/models",
    "/v1/models/{name}/{version}/card",
    "/languages",
    "/health",
    "/frontend/settings",
    "/spec",
    "/apy/listPairs",
}
"""They tell what the service can do and how it is, and nothing of what it was given."""

SECRET_ADDRESSES = {"/download_file/{name}"}
"""Whoever knows the name was told it, or has guessed 128 bits."""

ROUTES = [
    (method.upper(), path)
    for path, methods in create_app(Settings()).openapi()["paths"].items()
    for method in methods
    if path not in PUBLIC | SECRET_ADDRESSES
]


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    app = create_app(Settings(keys="required", data=tmp_path_factory.mktemp("data")))
    # Not started: no model is needed to be turned away.
    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_route_turns_away_who_has_no_key(locked, method, path):
    answer = locked.request(method, re.sub(r"\{\w+\}", "x", path))

    assert answer.status_code in {401, 403} or "API key" in answer.text, answer.text


def test_public_routes_exist():
    assert create_app(Settings()).openapi()["paths"].keys() >= PUBLIC | SECRET_ADDRESSES
