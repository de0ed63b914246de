"""Model cards are shown as HTML, and nothing in them runs."""

from dataclasses import replace

import pytest

from service.engine import ModelDescription

CARD = """# Tiny

| test set | BLEU |
|---|---|
| news | 31.5 |

<script>alert(1)</script> [here](javascript:alert(1))
"""


@pytest.fixture
def card(client, models):
    tiny = ModelDescription("tiny", "3", [], "int8", "CPUExecutionProvider", 1000, [], CARD)
    models.models = [replace(tiny, version="2", card=""), tiny]
    return client.get("/v1/models/tiny/3/card")


def test_card_is_html(card):
    assert card.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<h1>Tiny</h1>" in card.text
    assert "<td>31.5</td>" in card.text


def test_markup_in_a_card_is_text(card):
    assert "<script" not in card.text
    assert "&lt;script&gt;" in card.text
    assert "href" not in card.text


@pytest.mark.parametrize("path", ["tiny/4", "other/3", "tiny/%2e%2e"])
def test_model_that_is_not_loaded_has_none(client, card, path):
    answer = client.get(f"/v1/models/{path}/card")

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"
