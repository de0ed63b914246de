"""Who may look at versions, and who may promote them; what then happens is tested elsewhere."""

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings

PROMOTE, ROLL_BACK = "/v1/models/shout/promote", "/v1/models/shout/rollback"


def test_versions_of_a_model_are_listed(client):
    answer = client.get("/v1/models/shout/versions")

    assert answer.json() == {
        "name": "shout",
        "promotion": "newest",
        "serving": "1",
        "pinned": None,
        "versions": [
            {"version": "1", "state": "serving", "reason": None},
            {"version": "2", "state": "candidate", "reason": None},
        ],
        "history": [],
        "trouble": None,
    }


@pytest.mark.parametrize(
    "body",
    [{}, {"version": 0}, {"version": "one"}, {"version": "1", "job": "x"}],
)
def test_promotion_without_a_version_is_refused(client, body):
    answer = client.post(PROMOTE, json=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("version", [1, "1"])
def test_version_may_be_a_number_or_a_text(client, version):
    answer = client.post(PROMOTE, json={"version": version})

    assert answer.json()["history"][0]["version"] == "1"


def test_only_keys_for_admin_promote(keyed):
    for scope, status in (("evaluate", 403), ("admin", 200)):
        headers = {"X-API-Key": keyed.make(scope)}
        found = keyed.get("/v1/models/shout/versions", headers=headers)
        promoted = keyed.post(PROMOTE, json={"version": 1}, headers=headers)
        assert (found.status_code, promoted.status_code) == (200, status)
    assert keyed.post(ROLL_BACK).status_code == 401


def test_nobody_promotes_without_a_key_where_keys_are_optional(models, tmp_path):
    app = create_app(Settings(keys="optional", data=tmp_path), models)
    with TestClient(app, raise_server_exceptions=False) as client:
        answers = [client.post(PROMOTE, json={"version": 1}), client.post(ROLL_BACK)]

        assert client.get("/v1/models/shout/versions").status_code == 200
    assert [each.status_code for each in answers] == [401, 401]
    assert answers[0].json()["error"]["code"] == "key_required"
