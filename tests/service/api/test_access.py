"""Keys and limits as a caller of the native API meets them."""

from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from service.store import Work

BODY = {"text": ["a", "bc"], "source": "de", "target": "en"}


def translate(client, key=None, **change):
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return client.post("/v1/translate", json=BODY | change, headers=headers)


def code(answer) -> str:
    return answer.json()["error"]["code"]


def test_without_a_key_nothing_is_translated(keyed):
    answer = translate(keyed)

    assert (answer.status_code, code(answer)) == (401, "key_required")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_key_is_asked_for_before_the_fields_are_looked_at(keyed):
    assert translate(keyed, target=1).status_code == 401


def test_wrong_key_is_refused(keyed):
    answer = translate(keyed, "dgm_a_b")

    assert (answer.status_code, code(answer)) == (401, "unauthorized")


def test_key_for_something_else_is_refused(keyed):
    answer = translate(keyed, keyed.make("glossaries"))

    assert (answer.status_code, code(answer)) == (403, "forbidden")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", "Bearer {}"),
        ("authorization", "bearer  {}"),
        ("Authorization", "DeepL-Auth-Key {}"),
        ("X-API-Key", "{}"),
    ],
)
def test_key_may_come_in_any_of_these_headers(keyed, name, value):
    headers = {name: value.format(keyed.make("translate"))}

    assert keyed.post("/v1/translate", json=BODY, headers=headers).status_code == 200


def test_requests_beyond_the_rate_are_told_when_to_come_again(keyed):
    key = keyed.make("translate", requests_per_minute=1)

    answers = [translate(keyed, key) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 429]
    assert code(answers[1]) == "rate_limited"
    assert 1 <= int(answers[1].headers["Retry-After"]) <= 60


def test_characters_beyond_the_month_are_refused(keyed):
    key = keyed.make("translate", characters_per_month=3)

    answers = [translate(keyed, key) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 429]
    assert (code(answers[1]), answers[1].json()["error"]["limit"]) == ("quota_exceeded", 3)


def test_only_what_was_translated_is_counted(keyed):
    key = keyed.make("translate")
    translate(keyed, key)
    translate(keyed, key, target="xx")
    translate(keyed, key, beam=0)
    translate(keyed, key, text=["a", "bc"], source="de")

    keyed.portal.call(keyed.app.state.access._ring.step)

    assert [record.this_month for record in keyed.keys.read_all(datetime.now(UTC))] == [Work(6, 2)]


def test_key_is_in_no_log_no_metric_and_no_answer(keyed, caplog):
    caplog.set_level("DEBUG")
    key = keyed.make("glossaries")
    wrong = key[:-1] + "!"

    said = [
        keyed.post(path, json=BODY | {"api_key": each}, headers=headers).text
        for path in ("/v1/translate", f"/v1/translate?api_key={wrong}")
        for each in (key, wrong)
        for headers in ({}, {"Authorization": f"Bearer {each}"}, {"X-API-Key": each})
    ]
    said += [str(r.__dict__) for r in caplog.records if not r.name.startswith("http")]
    said.append(keyed.get("/metrics").text)

    secret = key.split("_")[2][:-1]
    assert caplog.records
    assert [each for each in said if secret in each] == []


def test_keys_that_are_sent_without_need_are_taken_no_notice_of(client):
    assert translate(client, "anything").status_code == 200


def test_callers_without_keys_may_have_limits_too(models, tmp_path):
    app = create_app(Settings(requests_per_minute=1, data=tmp_path / "data"), models)

    with TestClient(app) as client:
        answers = [translate(client) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 429]
    assert list(tmp_path.iterdir()) == []


def test_server_that_keeps_nothing_translates_where_nothing_can_be_written(models, tmp_path):
    (tmp_path / "disk").touch()  # no folder can be made under it, whoever asks
    app = create_app(Settings(data=tmp_path / "disk" / "data"), models)

    with TestClient(app) as client:
        assert translate(client).status_code == 200


def test_server_whose_keys_cannot_be_read_says_so_and_not_where_they_are(models, tmp_path):
    (tmp_path / "disk").touch()
    app = create_app(Settings(data=tmp_path / "disk" / "data", keys="required"), models)

    with TestClient(app) as client:
        answer = translate(client, "dgm_a_b")

    assert (answer.status_code, code(answer)) == (503, "store_unavailable")
    assert str(tmp_path) not in answer.text
