"""Languages of texts before models that know them by their umlauts, and of real ones."""

import pytest


def ask(client, **body):
    return client.post("/v1/detect", json=body)


def test_likeliest_language_is_told_for_each_text(client):
    answer = ask(client, text=["schön", "nice"])

    assert answer.json() == {
        "detections": [
            {"languages": [{"language": "de", "confidence": 0.75}]},
            {"languages": [{"language": "en", "confidence": 0.75}]},
        ]
    }


def test_several_languages_are_told_likeliest_first(client):
    [detection] = ask(client, text="schön", best=5).json()["detections"]

    assert [each["language"] for each in detection["languages"]] == ["de", "en"]


def test_text_that_is_too_long_leaves_the_others_their_languages(client):
    first, long = ask(client, text=["schön", "a" * 21]).json()["detections"]

    assert first["languages"][0]["language"] == "de"
    assert (long["error"]["field"], long["error"]["limit"]) == ("text.1", 20)


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, "text"),
        ({"text": 1}, 400, "text"),
        ({"text": "a", "best": 0}, 400, "best"),
        ({"text": "a", "more": 0}, 400, "more"),
        ({"text": ["a"] * 4}, 413, "text"),
    ],
)
def test_bad_value_is_named(client, body, status, field):
    answer = ask(client, **body)

    assert (answer.status_code, answer.json()["error"]["field"]) == (status, field)
