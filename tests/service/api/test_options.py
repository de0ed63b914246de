"""Each option of a request does to a real bundle what its equation says.

What a reply tells with `attention` (tokens and weights) is enough to compute all the rest.
"""

from collections.abc import Iterator

import numpy as np
import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings

TEXT = "Ich sehe einen Hund und zwei Katzen."
TEXTS = [TEXT, "Guten Morgen.", "ja", "nein nein", "Hund Hund Hund", "Katze", "x", "Der Hund."]


@pytest.fixture(scope="module")
def client(tiny_bundle) -> Iterator[TestClient]:
    settings = Settings(bundles=tiny_bundle.path.parents[1], workers=1)
    app = create_app(settings)
    with TestClient(app) as client:
        app.state.library.started.result(timeout=20)
        yield client


def translate(client, text=TEXT, **options) -> dict:
    body = {"text": text, "source": "de", "target": "en"} | options
    answer = client.post("/v1/translate", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["translations"][0]


def tokens_of(translation: dict) -> list[str]:
    [sentence] = translation["attention"]
    return sentence["target_tokens"]


@pytest.mark.parametrize("beam", [1, 4])
def test_attention_changes_nothing_else(client, beam):
    plain = translate(client, beam=beam)

    attended = translate(client, beam=beam, attention=True)

    assert attended.pop("attention")
    assert attended == plain


def test_attention_has_a_distribution_over_the_source_for_each_target_token(client, tiny_bundle):
    [sentence] = translate(client, attention=True)["attention"]

    tokenizer = tiny_bundle.tokenizer()
    pieces = tokenizer.pieces(tokenizer.encode(TEXT))
    assert sentence["source_tokens"] == ["<2en>", *pieces, "</s>"]
    weights = np.array(sentence["weights"])
    assert weights.shape == (len(sentence["target_tokens"]), len(pieces) + 2)
    assert weights.min() >= 0
    assert weights.sum(axis=1) == pytest.approx(1, abs=0.00005 * weights.shape[1])


def test_attention_comes_for_each_sentence(client):
    sentences = translate(client, "Guten Morgen.\n* * *\nDas Haus.", attention=True)["attention"]

    sources = ["".join(sentence["source_tokens"]) for sentence in sentences]
    assert sources == ["<2en>▁Guten▁Morgen.</s>", "<2en>▁Das▁Haus.</s>"]


@pytest.mark.parametrize("most", [1, 2, 5])
def test_max_tokens_cuts_off_and_says_so(client, most):
    translation = translate(client, beam=1, max_tokens=most, attention=True)

    assert translation["finish_reason"] == "length"
    assert len(tokens_of(translation)) == most


@pytest.mark.parametrize("penalty", [0.6, 1, 2.5])
def test_length_penalty_divides_by_the_norm_of_wu_et_al(client, penalty):
    # Greedy search takes the same tokens whatever the penalty.
    total = translate(client, beam=1, length_penalty=0)["score"]

    penalised = translate(client, beam=1, length_penalty=penalty, attention=True)

    norm = ((5 + len(tokens_of(penalised))) / 6) ** penalty
    assert penalised["score"] == pytest.approx(total / norm)


@pytest.mark.parametrize("penalty", [0.2, 1])
def test_coverage_penalty_is_that_of_wu_et_al(client, penalty):
    plain = translate(client, beam=1, attention=True)

    penalised = translate(client, beam=1, coverage_penalty=penalty)

    # Neither the tag nor the end of the sentence needs to be covered.
    received_S = np.array(plain["attention"][0]["weights"]).sum(axis=0)[1:-1]
    assert received_S.min() > 0.01, "or rounding would matter"
    missing = np.log(np.minimum(received_S, 1)).sum()
    assert missing < -0.1
    assert penalised["text"] == plain["text"]
    assert penalised["score"] == pytest.approx(plain["score"] + penalty * missing, abs=0.02)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("beam", [1, 3])
def test_no_ngram_comes_twice_where_that_is_asked(client, size, beam):
    def repeats(text: str, **options) -> bool:
        tokens = tokens_of(translate(client, text, beam=beam, attention=True, **options))
        ngrams = [tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1)]
        return len(set(ngrams)) < len(ngrams)

    assert any(repeats(text) for text in TEXTS)
    assert not any(repeats(text, no_repeat_ngram=size) for text in TEXTS)


def test_sentence_that_only_repeats_itself_is_stopped(client):
    stopped = [translate(client, text, beam=1, max_tokens=50, attention=True) for text in TEXTS]

    lengths = [len(tokens_of(t)) for t in stopped if t["finish_reason"] == "repetition"]
    assert lengths
    assert max(lengths) < 50


def test_alternatives_leave_the_best_as_it_is(client):
    best = [translate(client, text, beam=4) for text in TEXTS]

    several = [translate(client, text, beam=4, alternatives=3) for text in TEXTS]

    assert max(len(each["alternatives"]) for each in several) == 3
    assert [each | {"alternatives": []} for each in several] == best


def test_deadline_in_the_past_fails_and_leaves_the_service_sound(client):
    body = {"text": [TEXT] * 3, "source": "de", "target": "en", "timeout": 1e-9}

    late = client.post("/v1/translate", json=body)

    assert (late.status_code, late.json()["error"]["code"]) == (504, "deadline_exceeded")
    assert translate(client)["finish_reason"] in {"eos", "length", "repetition"}


def test_priority_and_a_far_deadline_change_no_translation(client):
    assert translate(client, priority="batch", timeout=600) == translate(client)
