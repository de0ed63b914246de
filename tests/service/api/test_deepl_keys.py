"""Keys, limits and usage in the words of DeepL."""

import pytest

BODY = {"text": ["ab", "c"], "source_lang": "de", "target_lang": "en"}


def translate(client, key=None, **change):
    headers = {"Authorization": f"DeepL-Auth-Key {key}"} if key else {}
    return client.post("/v2/translate", json=BODY | change, headers=headers)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2/translate"),
        ("POST", "/v2/translate"),
        ("GET", "/v2/languages"),
        ("GET", "/v2/usage"),
    ],
)
def test_key_is_asked_for_before_anything_else(keyed, method, path):
    answer = keyed.request(method, path)

    assert (answer.status_code, answer.json()) == (
        403,
        {"message": "this service needs an API key"},
    )


def test_wrong_key_is_forbidden(keyed):
    assert translate(keyed, "dgm_a_b").status_code == 403


def test_key_for_something_else_is_forbidden(keyed):
    answer = translate(keyed, keyed.make("glossaries"))

    assert (answer.status_code, answer.json()) == (
        403,
        {"message": "the API key is not for translate"},
    )


@pytest.mark.parametrize("place", ["params", "json", "data"])
def test_key_may_be_a_field(keyed, place):
    key = {"auth_key": keyed.make("translate")}
    sent = {"params": {"params": key, "json": BODY}}.get(place, {place: BODY | key})

    assert keyed.post("/v2/translate", **sent).status_code == 200


def test_more_requests_than_allowed_are_told_when_to_come_again(keyed):
    key = keyed.make("translate", requests_per_minute=1)

    answers = [translate(keyed, key) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 429]
    assert int(answers[1].headers["Retry-After"]) > 0
    assert list(answers[1].json()) == ["message"]


def test_used_up_quota_has_the_status_of_deepl(keyed):
    key = keyed.make("translate", characters_per_month=4)

    answers = [translate(keyed, key) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 456]
    assert "exceed the 1 that" in answers[1].json()["message"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_usage_counts_the_characters_of_texts(keyed, method):
    key = keyed.make("translate", characters_per_month=100)
    translate(keyed, key)
    translate(keyed, key, target_lang="xx")
    translate(keyed, key, text=["äöü😀"])

    usage = keyed.request(method, "/v2/usage", headers={"Authorization": f"DeepL-Auth-Key {key}"})

    assert (usage.json()["character_count"], usage.json()["character_limit"]) == (7, 100)
    assert usage.json()["start_time"] < usage.json()["end_time"]
    assert usage.json()["end_time"].endswith("T00:00:00Z")


def test_usage_without_a_limit_has_that_of_deepl(client):
    usage = client.get("/v2/usage").json()

    assert (usage["character_count"], usage["character_limit"]) == (0, 10**12)
