"""Scores of given translations, of models whose scores are known and of a real one."""

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings

TIMEOUT_SECONDS = 10


def ask(client, **change):
    body = {"text": "Tag", "translation": "day", "source": "de", "target": "en"}
    return client.post("/v1/score", json=body | change)


def test_score_is_told_for_the_whole_and_for_each_sentence(client):
    [score] = ask(client, tokens=True).json()["scores"]

    assert score == {
        "source": "de",
        "target": "en",
        "model": "shout/1",
        "log_probability": -3.0,
        "num_tokens": 2,
        "score": -1.5,
        "confidence": 0.25,
        "sentences": [
            {
                "source_span": [0, 3],
                "target_span": [0, 3],
                "log_probability": -3.0,
                "score": -1.5,
                "confidence": 0.25,
                "tokens": [
                    {"span": [0, 3], "log_probability": -3.0},
                    {"span": [3, 3], "log_probability": 0.0},
                ],
            }
        ],
    }


def test_tokens_are_told_only_if_asked_for(client):
    [score] = ask(client).json()["scores"]

    assert "tokens" not in score["sentences"][0]


def test_scores_come_in_order_and_failures_in_their_place(client):
    answer = ask(client, text=["a", "b", "c"], translation=["x", "y" * 21, "zz"])

    first, long, third = answer.json()["scores"]
    assert (first["log_probability"], third["log_probability"]) == (-1, -2)
    assert (long["error"]["code"], long["error"]["field"]) == ("text_too_long", "translation.1")


def test_source_is_found_if_it_is_not_given(client):
    [score] = ask(client, text="schön", source="auto").json()["scores"]

    assert score["source"] == "de"


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"translation": ["a", "b"]}, 400, "translation"),
        ({"translation": None}, 400, "translation"),
        ({"length_penalty": 11}, 400, "length_penalty"),
        ({"timeout": 0}, 400, "timeout"),
        ({"beam": 2}, 400, "beam"),
        ({"translation": "a" * 21}, 413, "translation"),
        ({"text": ["a"] * 4, "translation": ["a"] * 4}, 413, "text"),
    ],
)
def test_bad_value_is_named(client, change, status, field):
    answer = ask(client, **change)

    assert (answer.status_code, answer.json()["error"]["field"]) == (status, field)


def test_own_translation_is_scored_as_it_was_when_it_was_made(tiny_bundle):
    text = "Guten Morgen. Das Haus."
    pair = {"source": "de", "target": "en"}

    app = create_app(Settings(bundles=tiny_bundle.path.parents[1], workers=1))
    with TestClient(app) as client:
        app.state.library.started.result(TIMEOUT_SECONDS)
        body = {"text": text, "beam": 1, "length_penalty": 0} | pair
        [own] = client.post("/v1/translate", json=body).json()["translations"]
        answer = ask(client, text=text, translation=own["text"], length_penalty=0)
    [score] = answer.json()["scores"]

    total = sum(sentence["log_probability"] for sentence in score["sentences"])
    assert score["log_probability"] == pytest.approx(total)
    assert answer.headers["X-Model-Version"] == "tiny/1"
    assert score["num_tokens"] > 0
