"""The description of the APIs is valid, and every route keeps to it whatever it is sent."""

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from openapi_spec_validator import validate
from schemathesis.checks import CHECKS
from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.service.api.conftest import ShoutingModels

DESCRIPTION = create_app(Settings(), ShoutingModels()).openapi()
OPERATIONS = [
    (method.upper(), path) for path, item in DESCRIPTION["paths"].items() for method in item
]
LISTS = "/v1/languages"

# What is as it should be may still not be served: a pair of languages that there is not.
EXCLUDED = [check for check in CHECKS.get_all() if check.__name__ == "positive_data_acceptance"]


@pytest.fixture(scope="module")
def schema(tmp_path_factory) -> Iterator[schemathesis.openapi.OpenAPISchema]:
    app = create_app(Settings(data=tmp_path_factory.mktemp("data")), ShoutingModels())
    with TestClient(app):
        yield schemathesis.openapi.from_asgi("/openapi.json", app)


def test_description_is_valid():
    validate(DESCRIPTION)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_failure_is_described(method, path):
    responses = DESCRIPTION["paths"][path][method.lower()]["responses"]

    assert "default" not in responses
    assert "422" not in responses
    if path != LISTS and DESCRIPTION["paths"][path][method.lower()].get("requestBody"):
        assert {"400", "413", "500", "503"} <= responses.keys()


def probe(schema, method: str, path: str, max_examples: int) -> None:
    """Send the route what its description allows and what it does not; check each answer."""

    @settings(
        max_examples=max_examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=schema[path][method].as_strategy())
    def keeps_to_the_description(case: schemathesis.Case) -> None:
        case.call_and_validate(excluded_checks=EXCLUDED)

    keeps_to_the_description()


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_route_keeps_to_its_description(schema, method, path):
    probe(schema, method, path, max_examples=20)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_route_keeps_to_its_description_at_length(schema, method, path):
    probe(schema, method, path, max_examples=1000)
