"""The description of the APIs is valid, and every route keeps to it whatever it is sent."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from openapi_spec_validator import validate
from schemathesis.checks import CHECKS

from service.app import create_app
from service.settings import Settings
from tests.service.api.conftest import ShoutingModels

# Schemathesis does, where it mutates values that must be refused; Hypothesis would have it fail.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module:Warning")

DESCRIPTION = create_app(Settings(), ShoutingModels()).openapi()
OPERATIONS = [
    (method.upper(), path) for path, item in DESCRIPTION["paths"].items() for method in item
]


@pytest.fixture
def schema(tmp_path) -> schemathesis.BaseSchema:
    """The routes of an app of its own, for Schemathesis ends it after the test."""
    schema = schemathesis.openapi.from_dict(DESCRIPTION)
    schema.app = create_app(Settings(data=tmp_path), ShoutingModels())
    return schema


def test_description_is_valid():
    validate(DESCRIPTION)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_failure_is_described(method, path):
    operation = DESCRIPTION["paths"][path][method.lower()]
    described = operation["responses"].keys()

    assert not described & {"default", "422"}
    assert {"400", "413", "500", "503"} <= described or "requestBody" not in operation


def probe(schema, method: str, path: str, max_examples: int) -> None:
    """Send the route what its description allows and what it does not; check each answer."""
    # What is as it should be may still not be served: a pair of languages that there is not.
    excluded = [each for each in CHECKS.get_all() if each.__name__ == "positive_data_acceptance"]

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
        case.call_and_validate(excluded_checks=excluded)

    keeps_to_the_description()


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_route_keeps_to_its_description(schema, method, path):
    probe(schema, method, path, max_examples=20)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_route_keeps_to_its_description_at_length(schema, method, path):
    probe(schema, method, path, max_examples=100)
