"""The dialect of Apertium APy, as OmegaT and Weblate speak it."""

import pytest


def wrapped(data) -> dict[str, object]:
    return {"responseData": data, "responseDetails": None, "responseStatus": 200}


def test_pairs_are_listed(client):
    assert client.get("/apy/listPairs").json() == wrapped(
        [
            {"sourceLanguage": "de", "targetLanguage": "en"},
            {"sourceLanguage": "en", "targetLanguage": "de"},
        ]
    )


def test_text_is_translated(client):
    answer = client.get("/apy/translate", params={"langpair": "de|en", "q": "tür\n"})

    assert (answer.status_code, answer.json()) == (200, wrapped({"translatedText": "TÜR\n"}))


def test_request_of_omegat_is_answered(client):
    path = "/apy/translate?q=Eine+T%C3%BCr%0A&markUnknown=no&langpair=de%7Cen&key=bwuxb5jS"

    assert client.get(path).json()["responseData"] == {"translatedText": "EINE TÜR\n"}


def test_long_text_may_be_posted(client):
    answer = client.post("/apy/translate", data={"langpair": "de|en", "q": "a"})

    assert answer.json() == wrapped({"translatedText": "A"})


def test_html_is_treated_as_such(client, models):
    client.get("/apy/translate?langpair=de|en&q=a&format=html")
    client.get("/apy/translate?langpair=de|en&q=a&format=txt")

    assert [o.markup and o.markup.kind for o in models.options] == ["html", None]


def test_language_is_identified(client):
    assert client.get("/apy/identifyLang?q=tür").json() == {"de": 0.75, "en": 0.25}
    assert client.post("/apy/identifyLang", json={"q": "door"}).json() == {"en": 0.75, "de": 0.25}


@pytest.mark.parametrize(
    ("query", "status", "code", "explanation"),
    [
        ("langpair=de|en", 400, "invalid_request", "q: Field required"),
        ("langpair=zz|en&q=a", 400, "unsupported_pair", "zz-en is not served"),
        ("langpair=a|b|c&q=a", 400, "invalid_request", "langpair: String should match pattern"),
        ("langpair=de|en&q=a&format=odt", 400, "invalid_request", "format: Input should be 'txt'"),
        ("langpair=de|en&q=" + "a" * 21, 413, "text_too_long", "text: 21 characters exceed 20"),
    ],
)
def test_failure_has_the_fields_of_apy_and_those_of_omegat(
    client, query, status, code, explanation
):
    answer = client.get(f"/apy/translate?{query}")

    body = answer.json()
    assert (answer.status_code, body["code"], body["responseStatus"]) == (status,) * 3
    assert (body["status"], body["message"], body["responseData"]) == ("error", code, None)
    assert body["explanation"] == body["responseDetails"]
    assert body["explanation"].startswith(explanation)


def test_text_to_identify_has_the_same_limit(client):
    assert client.get("/apy/identifyLang?q=" + "a" * 21).status_code == 413


@pytest.mark.parametrize("path", ["/apy/nowhere", "/apy"])
def test_unknown_path_is_answered_in_the_dialect(client, path):
    answer = client.get(path)

    assert (answer.status_code, answer.json()["responseStatus"]) == (404, 404)


def test_draining_service_takes_no_text(client, app):
    app.state.intake.close()

    assert client.get("/apy/translate?langpair=de|en&q=a").status_code == 503
    assert client.get("/apy/listPairs").status_code == 200


def test_key_is_wanted_where_keys_are(keyed):
    path = "/apy/translate?langpair=de|en&q=a"

    statuses = [
        keyed.get(path).status_code,
        keyed.get(f"{path}&key=x").status_code,
        keyed.get(f"{path}&key={keyed.make('glossaries')}").status_code,
        keyed.get(f"{path}&key={keyed.make('translate')}").status_code,
        keyed.get("/apy/identifyLang?q=a").status_code,
        keyed.get("/apy/listPairs").status_code,
    ]

    assert statuses == [401, 401, 403, 200, 401, 200]


def test_characters_are_charged(keyed):
    key = keyed.make("translate", characters_per_month=3)
    path = f"/apy/translate?langpair=de|en&q=ab&key={key}"

    assert [keyed.get(path).status_code for _ in range(2)] == [200, 429]
