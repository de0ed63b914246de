"""The dialect of LibreTranslate: its answers, and its words for what goes wrong."""

import io
import json
from urllib.parse import urlencode

import pytest
from openapi_spec_validator import validate
from starlette.testclient import TestClient

from service.app import create_app
from service.documents import suffixes
from service.engine import Detection
from service.errors import Overloaded
from service.settings import Settings

GERMAN = {"source": "de", "target": "en"}


def ask(client, **fields):
    return client.post("/translate", json={**GERMAN, **fields})


def refusal(answer) -> tuple[int, str]:
    assert answer.json().keys() == {"error"}
    return answer.status_code, answer.json()["error"]


WAYS = {
    "json": lambda client, fields: client.post("/translate", json=fields),
    "form": lambda client, fields: client.post("/translate", data=fields),
    "multipart": lambda client, fields: client.post(
        "/translate", files={name: (None, value) for name, value in fields.items()}
    ),
    "query": lambda client, fields: client.post("/translate?" + urlencode(fields)),
}


@pytest.mark.parametrize("way", WAYS)
def test_text_is_translated_however_it_is_sent(client, way):
    answer = WAYS[way](client, {"q": "tür\n", **GERMAN})

    assert (answer.status_code, answer.json()) == (200, {"translatedText": "TÜR\n"})


def test_array_is_answered_by_an_array(client):
    assert ask(client, q=["a", "", "b"]).json() == {"translatedText": ["A", "", "B"]}


def test_repeated_field_of_a_form_is_an_array(client):
    answer = client.post("/translate", data={"q": ["a", "b"], **GERMAN})

    assert answer.json() == {"translatedText": ["A", "B"]}


def test_language_is_found_for_each_text(client):
    answer = ask(client, q=["tür", "door"], source="auto", target="en")

    assert answer.json() == {
        "translatedText": ["TÜR", "door"],
        "detectedLanguage": [
            {"confidence": 100.0, "language": "de"},
            {"confidence": 100.0, "language": "en"},
        ],
    }


def test_language_of_one_text_is_one_object(client):
    answer = ask(client, q="tür", source="AUTO")

    assert answer.json()["detectedLanguage"] == {"confidence": 100.0, "language": "de"}


def test_alternatives_of_a_text_and_of_an_array(client):
    assert ask(client, q="a", alternatives=2).json()["alternatives"] == ["A!", "A!!"]
    assert ask(client, q=["a", "b"], alternatives=1).json()["alternatives"] == [["A!"], ["B!"]]


def test_no_alternatives_are_asked_for_by_less_than_one(client, models):
    assert ask(client, q="a", alternatives=-1).json() == {"translatedText": "A"}
    assert models.options[0].alternatives == 0


def test_html_is_treated_as_such(client, models):
    ask(client, q="<b>a</b>", format="html")
    ask(client, q="a", format="text")

    assert [o.markup and o.markup.kind for o in models.options] == ["html", None]


def test_text_in_no_language_stays_whatever_the_target(client, models):
    models.languages = lambda: {"en": ["de"], "fr": ["en"]}  # not from fr, the first, into de
    models.detect = lambda text: Detection("fr", 0.0) if text == "😀" else Detection("en", 1.0)

    answer = ask(client, q=["door", "😀"], source="auto", target="de")

    assert answer.json()["translatedText"] == ["DOOR", "😀"]
    assert answer.json()["detectedLanguage"][1] == {"confidence": 0.0, "language": "fr"}


def test_tags_of_html_have_no_language(client, models):
    seen = []
    models.detect = lambda text: seen.append(text) or Detection("de", 1.0)

    ask(client, q="<b id=ä>a&amp;</b>", format="html", source="auto")

    assert seen == ["a&"]


def test_language_into_itself_leaves_the_text(client, models):
    answer = ask(client, q="tür", source="de", target="de")

    assert (answer.json(), models.options) == ({"translatedText": "tür"}, [])


@pytest.mark.parametrize("field", ["api_key", "format"])
@pytest.mark.parametrize("value", [None, ""])
def test_optional_field_may_be_null_or_empty(client, field, value):
    assert ask(client, q="a", **{field: value}).json() == {"translatedText": "A"}


def test_unknown_fields_are_ignored(client):
    assert ask(client, q="a", apiKey="x", foo=[1]).status_code == 200


@pytest.mark.parametrize("field", ["q", "source", "target"])
@pytest.mark.parametrize("value", [None, "", []])
def test_field_that_must_be_there_is_named(client, field, value):
    assert refusal(ask(client, **{"q": "a", field: value})) == (
        400,
        f"Invalid request: missing {field} parameter",
    )


@pytest.mark.parametrize("field", ["q", "source", "target"])
def test_absent_field_is_named(client, field):
    fields = {"q": "a", **GERMAN}
    del fields[field]

    assert refusal(client.post("/translate", json=fields)) == (
        400,
        f"Invalid request: missing {field} parameter",
    )


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"source": "zz"}, "zz is not supported"),
        ({"target": "zz"}, "zz is not supported"),
        ({"target": "auto"}, "auto is not supported"),
        ({"format": "xml"}, "xml format is not supported"),
        ({"alternatives": None}, "Invalid request: alternatives parameter is not a number"),
        ({"alternatives": "abc"}, "Invalid request: alternatives parameter is not a number"),
        ({"alternatives": 2.5}, "Invalid request: alternatives parameter is not a number"),
        ({"alternatives": 4}, "Invalid request: alternatives parameter must be <= 3"),
        ({"q": "a" * 21}, "Invalid request: request (21) exceeds text limit (20)"),
        ({"q": ["a", "a" * 21]}, "Invalid request: request (21) exceeds text limit (20)"),
        ({"q": ["a"] * 4}, "Invalid request: request (4) exceeds text limit (3)"),
    ],
)
def test_original_answers_the_same_sentence(client, fields, sentence):
    assert refusal(ask(client, **{"q": "a", **fields})) == (400, sentence)


@pytest.mark.parametrize("fields", [{"q": 123}, {"q": ["a", None]}, {"q": {}}, {"source": 5}])
def test_what_the_original_answers_500_is_answered_400(client, fields):
    status, sentence = refusal(ask(client, **{"q": "a", **fields}))

    assert status == 400
    assert sentence.startswith(f"Invalid request: {next(iter(fields))} parameter: ")


def test_pair_that_no_model_translates_is_named(client, models):
    models.languages = lambda: {"en": ["de"], "fr": ["en"]}

    assert refusal(ask(client, q="a", source="en", target="fr")) == (
        400,
        "French (fr) is not available as a target language from English (en)",
    )


def test_pair_of_every_text_is_looked_at(client, models):
    models.languages = lambda: {"en": ["fr"], "de": ["en"]}

    assert refusal(ask(client, q=["door", "tür"], source="auto", target="fr")) == (
        400,
        "French (fr) is not available as a target language from German (de)",
    )


def test_region_that_is_served_is_named_and_no_other(client, models):
    models.languages = lambda: {"pt-BR": ["en"], "pt-PT": ["en"], "en": ["de"]}

    assert refusal(ask(client, q="a", source="PT-pt", target="de")) == (
        400,
        "German (de) is not available as a target language from Portuguese (Portugal) (pt-PT)",
    )


def test_body_that_is_no_object_is_refused(client):
    assert refusal(client.post("/translate", json=[1])) == (400, "Invalid JSON format")


def test_file_is_no_text(client):
    answer = client.post("/translate", data=GERMAN, files={"q": ("a", io.BytesIO(b"a"))})

    assert refusal(answer)[0] == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/translate"), ("GET", "/detect"), ("POST", "/languages"), ("PUT", "/health")],
)
def test_wrong_method_is_answered_in_json(client, method, path):
    status, sentence = refusal(client.request(method, path))

    assert (status, sentence) == (405, f"Method Not Allowed: {method} {path}")


def test_body_beyond_the_limit_is_refused(client):
    assert refusal(ask(client, q="a" * 2000)) == (413, "the body exceeds 1000 bytes")


def test_refusal_of_the_engine_tells_when_to_come_back(client, models):
    async def refuse() -> None:
        raise Overloaded("too much is waiting", retry_after_seconds=7)

    models.on_translate = refuse

    answer = ask(client, q="a")

    assert refusal(answer) == (503, "too much is waiting")
    assert answer.headers["Retry-After"] == "7"


def test_bug_is_answered_without_a_trace(client, models):
    async def fail() -> None:
        raise RuntimeError("secret")

    models.on_translate = fail

    assert refusal(ask(client, q="a")) == (500, "internal error")


def test_languages_of_a_text_are_told_the_likeliest_first(client):
    expected = [
        {"confidence": 75.0, "language": "de"},
        {"confidence": 25.0, "language": "en"},
    ]

    assert client.post("/detect", json={"q": "tür", "format": "text"}).json() == expected
    assert client.post("/detect", data={"q": "tür"}).json() == expected


def test_texts_of_an_array_count_as_one(client):
    answer = client.post("/detect", json={"q": ["door", "tür"]})

    assert answer.json()[0] == {"confidence": 75.0, "language": "de"}


def test_languages_that_the_text_is_not_in_are_left_out(client, models):
    models.detect_all = lambda *_: [Detection("de", 0.0), Detection("en", 0.0)]

    assert client.post("/detect", json={"q": "1"}).json() == [{"confidence": 0.0, "language": "de"}]


def test_detection_needs_a_text(client):
    assert refusal(client.post("/detect", json={})) == (
        400,
        "Invalid request: missing q parameter",
    )


def test_languages_are_listed_by_name_and_lead_to_themselves(client):
    assert client.get("/languages").json() == [
        {"code": "en", "name": "English", "targets": ["de", "en"]},
        {"code": "de", "name": "German", "targets": ["de", "en"]},
    ]


def test_language_that_is_only_a_target_is_listed(client, models):
    models.languages = lambda: {"en": ["pt-BR"]}

    assert client.get("/languages").json() == [
        {"code": "en", "name": "English", "targets": ["en", "pt-BR"]},
        {"code": "pt-BR", "name": "Portuguese (Brazil)", "targets": ["pt-BR"]},
    ]


def test_front_end_is_told_what_this_server_allows(client):
    assert client.get("/frontend/settings").json() == {
        "apiKeys": False,
        "charLimit": 20,
        "filesTranslation": True,
        "frontendTimeout": 500,
        "keyRequired": False,
        "language": {
            "source": {"code": "auto", "name": "Auto Detect"},
            "target": {"code": "en", "name": "English"},
        },
        "suggestions": False,
        "supportedFilesFormat": suffixes(),
    }


def test_health_is_that_of_new_work(client, app):
    well = client.get("/health")
    app.state.intake.close()
    draining = client.get("/health")

    assert (well.status_code, well.json()) == (200, {"status": "ok"})
    assert refusal(draining) == (503, "the service is shutting down")


def test_draining_service_takes_no_text(client, app):
    app.state.intake.close()

    assert refusal(ask(client, q="a")) == (503, "the service is shutting down")
    assert client.get("/languages").status_code == 200


def test_region_falls_back_to_the_language_with_real_models(tiny_bundle):
    app = create_app(Settings(bundles=tiny_bundle.path.parents[1], workers=1))
    with TestClient(app) as client:
        app.state.library.started.result(10)
        answer = client.post("/translate", json={"q": "a", "source": "EN_us", "target": "de-AT"})

    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == {"translatedText"}


def test_without_a_key_nothing_is_translated_or_detected(keyed):
    sentence = "Please contact the server operator to get an API key"

    assert refusal(ask(keyed, q="a")) == (400, sentence)
    assert refusal(ask(keyed, api_key=None)) == (400, sentence)  # before fields are looked at
    assert refusal(keyed.post("/detect", json={"q": "a"})) == (400, sentence)


def test_wrong_key_is_refused(keyed):
    assert refusal(ask(keyed, q="a", api_key="x")) == (403, "Invalid API key")


def test_key_for_something_else_is_refused(keyed):
    status, sentence = refusal(ask(keyed, q="a", api_key=keyed.make("glossaries")))

    assert (status, sentence) == (403, "the API key is not for translate")


def test_key_may_come_in_any_field_or_header(keyed):
    key = keyed.make("translate")
    fields = {"q": "a", "api_key": key, **GERMAN}

    answers = [send(keyed, fields) for send in WAYS.values()]
    del fields["api_key"]
    headers = {"Authorization": f"Bearer {key}"}
    answers.append(keyed.post("/translate", json=fields, headers=headers))

    assert [answer.status_code for answer in answers] == [200] * 5


def test_who_asks_too_often_is_told_to_slow_down(keyed):
    key = keyed.make("translate", requests_per_minute=1)

    answers = [ask(keyed, q="a", api_key=key) for _ in range(2)]

    assert answers[0].status_code == 200
    assert refusal(answers[1]) == (429, "Slowdown: 1 per 1 minute")
    assert 1 <= int(answers[1].headers["Retry-After"]) <= 60


def test_characters_of_all_texts_are_charged(keyed):
    key = keyed.make("translate", characters_per_month=3)

    answers = [ask(keyed, q=q, api_key=key) for q in (["a", "b"], "cd")]

    assert answers[0].status_code == 200
    assert refusal(answers[1])[0] == 429


def test_front_end_is_told_of_keys(keyed):
    settings = keyed.get("/frontend/settings").json()

    assert (settings["apiKeys"], settings["keyRequired"]) == (True, True)
    assert keyed.get("/languages").status_code == 200


SUGGESTION = {"q": "Tür\n", "s": "gate\tor \u2028door", **GERMAN}


@pytest.fixture
def suggesting(models, tmp_path):
    app = create_app(Settings(suggestions="on", data=tmp_path / "data"), models)
    with TestClient(app) as client:
        yield client


def test_suggestions_are_kept_whole(suggesting, tmp_path):
    answers = [
        suggesting.post("/suggest", json=SUGGESTION),
        suggesting.post("/suggest", data={**SUGGESTION, "source": "auto"}),
    ]

    assert [answer.json() for answer in answers] == [{"success": True}] * 2
    lines = (tmp_path / "data" / "suggestions.jsonl").read_bytes().split(b"\n")
    kept = [json.loads(line) for line in lines if line]
    expected = {"source": "de", "target": "en", "text": "Tür\n", "translation": SUGGESTION["s"]}
    assert [{k: v for k, v in each.items() if k != "time"} for each in kept] == [expected] * 2
    assert suggesting.get("/frontend/settings").json()["suggestions"] is True


def test_suggestions_are_disabled_unless_wanted(client):
    sentence = "Suggestions are disabled on this server"

    assert refusal(client.post("/suggest", json=SUGGESTION)) == (403, sentence)
    assert refusal(client.post("/suggest")) == (403, sentence)


@pytest.mark.parametrize("field", ["q", "s", "source", "target"])
def test_suggestion_lacks_nothing(suggesting, field):
    answer = suggesting.post("/suggest", json={**SUGGESTION, field: ""})

    assert refusal(answer) == (400, f"Invalid request: missing {field} parameter")


@pytest.mark.parametrize("field", ["q", "s"])
def test_suggestion_is_no_longer_than_a_text_may_be(models, tmp_path, field):
    app = create_app(Settings(suggestions="on", max_text_characters=9, data=tmp_path), models)
    with TestClient(app) as client:
        answer = client.post("/suggest", json={**SUGGESTION, "s": "gate", field: "a" * 10})

    assert refusal(answer) == (400, "Invalid request: request (10) exceeds text limit (9)")


def test_suggestion_is_for_languages_that_are_served(suggesting):
    answer = suggesting.post("/suggest", json={**SUGGESTION, "target": "zz"})

    assert refusal(answer) == (400, "zz is not supported")


def test_description_is_of_these_routes_alone(client):
    description = client.get("/spec").json()

    validate(description)
    assert description["components"]["schemas"].keys() & {"Failure", "LibreTranslate"} == set()
    assert {"/translate", "/suggest"} <= set(description["paths"])
    assert not any(path.startswith("/v") for path in description["paths"])
