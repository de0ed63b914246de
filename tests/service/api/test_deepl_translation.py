"""`/v2/translate` takes what clients of DeepL send and answers what they read."""

import json

import pytest

from service.engine import Markup
from service.errors import Overloaded

JSON = "application/json"
GOOD = {"text": ["guten Tag", "zwei"], "target_lang": "EN-GB", "source_lang": "DE"}


def translate(client, **change):
    return client.post("/v2/translate", json=GOOD | change)


def options(client, models, **change):
    assert translate(client, **change).status_code == 200
    return models.options[-1]


def test_texts_are_translated_in_order(client):
    answer = translate(client)

    assert answer.status_code == 200
    assert answer.json() == {
        "translations": [
            {"detected_source_language": "DE", "text": "GUTEN TAG"},
            {"detected_source_language": "DE", "text": "ZWEI"},
        ]
    }


def test_single_string_is_a_list_of_one(client):
    assert [each["text"] for each in translate(client, text="eins").json()["translations"]] == [
        "EINS"
    ]


def test_no_texts_have_no_translations(client):
    assert translate(client, text=[]).json() == {"translations": []}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_form_repeats_text_and_joins_tags_by_commas(client, models, method):
    form = (
        "text=eins&text=zw%C3%B6lf&target_lang=en&tag_handling=xml&ignore_tags=x,y"
        "&show_billed_characters=1"
    )
    if method == "GET":
        answer = client.get(f"/v2/translate?{form}")
    else:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = client.post("/v2/translate", content=form, headers=headers)

    assert answer.json()["translations"] == [
        {
            "detected_source_language": "EN",
            "text": "eins",  # found to be in the target language, so it stays
            "billed_characters": 4,
            "tag_handling_version": "v2",
        },
        {
            "detected_source_language": "DE",
            "text": "ZWÖLF",
            "billed_characters": 5,
            "tag_handling_version": "v2",
        },
    ]
    assert models.options[-1].markup == Markup("xml", ignore_tags=("x", "y"))


@pytest.mark.parametrize("target", ["en", "EN", "en-us", "EN-GB", "en_US"])
def test_region_of_the_target_picks_no_other_model(client, target):
    assert translate(client, target_lang=target).json()["translations"][0]["text"] == "GUTEN TAG"


def test_source_is_told_without_its_region(client):
    answer = translate(client, source_lang="en-us", target_lang="de")

    assert answer.json()["translations"][0]["detected_source_language"] == "EN"


def test_text_in_the_target_language_stays_as_it_is(client):
    answer = translate(client, source_lang="EN", target_lang="EN-US")

    assert [each["text"] for each in answer.json()["translations"]] == GOOD["text"]


def test_fields_of_the_answer_come_when_asked_for(client):
    answer = translate(
        client,
        text="a😀",
        show_billed_characters=True,
        model_type="prefer_quality_optimized",
        tag_handling="html",
        tag_handling_version="v1",
    )

    assert answer.json()["translations"] == [
        {
            "detected_source_language": "DE",
            "text": "A😀",
            "billed_characters": 2,
            "model_type_used": "quality_optimized",
            "tag_handling_version": "v1",
        }
    ]


@pytest.mark.parametrize(
    ("change", "split"),
    [
        ({}, "sentences"),
        ({"split_sentences": "1"}, "sentences"),
        ({"split_sentences": 1}, "sentences"),
        ({"split_sentences": True}, "sentences"),
        ({"split_sentences": "0"}, "lines"),
        ({"split_sentences": False}, "lines"),
        ({"split_sentences": "nonewlines"}, "nonewlines"),
        ({"tag_handling": "xml"}, "sentences"),
        ({"tag_handling": "html"}, "nonewlines"),
        ({"tag_handling": "html", "split_sentences": "1"}, "sentences"),
    ],
)
def test_sentences_are_split_as_asked(client, models, change, split):
    assert options(client, models, **change).split == split


def test_tags_are_treated_as_asked(client, models):
    tags = {
        "splitting_tags": ["par", "title,li"],
        "non_splitting_tags": "b, i",
        "ignore_tags": ["x"],
        "outline_detection": False,
    }

    assert options(client, models).markup is None
    assert options(client, models, **tags).markup is None  # they mean nothing without tag_handling
    assert options(client, models, tag_handling="xml", **tags).markup == Markup(
        "xml",
        ignore_tags=("x",),
        splitting_tags=("par", "title", "li"),
        non_splitting_tags=("b", "i"),
        outline_detection=False,
    )


def test_language_is_found_in_what_is_between_the_tags(client):
    answer = translate(
        client,
        text="<a id='ö'>day</a>",
        source_lang=None,
        target_lang="DE",
        tag_handling="html",
    )

    assert answer.json()["translations"][0]["detected_source_language"] == "EN"


@pytest.mark.parametrize(
    ("model_type", "beam"),
    [("latency_optimized", 1), ("quality_optimized", None), ("prefer_quality_optimized", None)],
)
def test_low_latency_is_greedy(client, models, model_type, beam):
    assert options(client, models, model_type=model_type).beam == beam


@pytest.mark.parametrize(
    "change",
    [
        {"formality": "default"},
        {"formality": "prefer_more"},
        {"formality": "prefer_less"},
        {"context": "Ein Brief."},
        {"preserve_formatting": True},
        {"preserve_formatting": "0"},
        {"enable_beta_languages": True, "unknown": {"a": 1}},
        {"source_lang": None, "glossary_id": None},
        {"source_lang": "", "formality": "", "tag_handling": "", "split_sentences": ""},
    ],
)
def test_what_changes_nothing_is_accepted(client, change):
    assert translate(client, **change).status_code == 200


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"text": None}, 400, "Parameter 'text' not specified."),
        ({"target_lang": None}, 400, "Parameter 'target_lang' not specified."),
        ({"target_lang": "xx"}, 400, "Value for 'target_lang' not supported."),
        ({"target_lang": ""}, 400, "Value for 'target_lang' not supported."),
        ({"target_lang": "no language"}, 400, "Value for 'target_lang' not supported."),
        ({"target_lang": "\ud800"}, 400, None),
        ({"source_lang": "xx"}, 400, "Value for 'source_lang' not supported."),
        ({"source_lang": "xx", "target_lang": "xx"}, 400, "Value for 'source_lang' not supported."),
        ({"target_lang": 1}, 400, "target_lang: Input should be a valid string"),
        ({"text": 1}, 400, "text: Input should be a valid list"),
        ({"text": ["a", 1]}, 400, "text.1: Input should be a valid string"),
        ({"text": "\ud800"}, 400, None),
        ({"formality": "more"}, 400, "'formality' is not supported for given 'target_lang'."),
        ({"formality": "less"}, 400, "'formality' is not supported for given 'target_lang'."),
        ({"formality": "rude"}, 400, None),
        ({"split_sentences": "2"}, 400, None),
        ({"tag_handling": "json"}, 400, None),
        ({"model_type": "best"}, 400, None),
        ({"ignore_tags": [1]}, 400, None),
        ({"style_id": "a"}, 400, "Value for 'style_id' not supported."),
        ({"translation_memory_id": "a"}, 400, "Value for 'translation_memory_id' not supported."),
        ({"custom_instructions": ["a"]}, 400, "Value for 'custom_instructions' not supported."),
        ({"text": ["a" * 21]}, 413, "text: 21 characters exceed 20"),
        ({"text": ["a"] * 4}, 413, "text: 4 texts exceed 3"),
        ({"context": "a" * 1000}, 413, "the body exceeds 1000 bytes"),
    ],
)
def test_failure_is_one_string(client, change, status, message):
    body = json.dumps(GOOD | change)
    answer = client.post("/v2/translate", content=body, headers={"Content-Type": JSON})

    assert answer.status_code == status
    assert list(answer.json()) == ["message"]
    assert answer.json()["message"] == message or message is None


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/nothing", 404),
        ("GET", "/v3", 404),
        ("PUT", "/v2/translate", 405),
        ("POST", "/v3/languages?resource=glossary", 405),
    ],
)
def test_unknown_path_or_method_has_the_same_shape(client, method, path, status):
    answer = client.request(method, path)

    assert answer.status_code == status
    assert list(answer.json()) == ["message"]
    assert answer.headers["X-Trace-ID"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize("content", [b"{", b"[]", b'"a"', b"\xff"])
def test_body_that_is_no_object_has_the_same_shape(client, content):
    answer = client.post("/v2/translate", content=content, headers={"Content-Type": JSON})

    assert answer.status_code == 400
    assert isinstance(answer.json()["message"], str)


def test_every_answer_has_a_trace_id(client):
    answers = [translate(client), translate(client, text=1), client.get("/v2/languages")]

    ids = [answer.headers["X-Trace-ID"] for answer in answers]
    assert ids == [answer.headers["X-Request-Id"] for answer in answers]
    assert len(set(ids)) == 3
    assert "X-Trace-ID" not in client.get("/v1/languages").headers


def test_overload_says_when_to_come_again(client, models):
    async def refuse() -> None:
        raise Overloaded("too much is waiting", retry_after_seconds=7)

    models.on_translate = refuse
    answer = translate(client)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
    assert answer.json() == {"message": "too much is waiting"}


def test_bug_tells_nothing(client, models):
    async def fail() -> None:
        raise RuntimeError("secret")

    models.on_translate = fail

    assert translate(client).json() == {"message": "internal error"}


def test_no_work_is_taken_while_draining(client, app):
    app.state.intake.close()

    assert translate(client).status_code == 503
