"""`/v2/languages` and `/v3/languages` tell what is served, as clients of DeepL look for it."""

import pytest

DE = {"language": "DE", "name": "German"}


@pytest.mark.parametrize("type_", [None, "source"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_sources_have_no_region(client, method, type_):
    answer = client.request(method, "/v2/languages", params=type_ and {"type": type_})

    assert answer.json() == [DE, {"language": "EN", "name": "English"}]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("place", ["params", "data"])
def test_targets_are_asked_for_in_the_query_or_in_the_body(client, method, place):
    answer = client.request(method, "/v2/languages", **{place: {"type": "target"}})

    assert answer.json() == [
        DE | {"supports_formality": False},
        {"language": "EN-GB", "name": "English (British)", "supports_formality": False},
        {"language": "EN-US", "name": "English (American)", "supports_formality": False},
    ]


def test_wrong_type_is_told_in_the_words_of_deepl(client):
    answer = client.get("/v2/languages?type=both")

    assert answer.status_code == 400
    assert answer.json() == {
        "message": "Parameter 'type' is invalid. 'source' and 'target' are valid values."
    }


def test_model_of_a_region_is_listed_with_it(client, models, monkeypatch):
    targets = {"fr": ["pt-BR", "zh-Hans"], "pt-BR": ["fr"], "pt-PT": ["fr"]}
    monkeypatch.setattr(models, "languages", lambda: targets)

    sources = client.get("/v2/languages").json()
    targets = client.get("/v2/languages?type=target").json()

    assert [each["language"] for each in sources] == ["FR", "PT"]
    assert [each["language"] for each in targets] == ["FR", "PT-BR", "ZH-HANS"]


@pytest.mark.parametrize("resource", ["translate_text", "translate_document", "glossary"])
def test_resource_tells_sides_and_features(client, resource):
    languages = client.get("/v3/languages", params={"resource": resource}).json()

    assert [
        (each["lang"], each["usable_as_source"], each["usable_as_target"]) for each in languages
    ] == [("de", True, True), ("en", True, False), ("en-GB", False, True), ("en-US", False, True)]
    assert {each["status"] for each in languages} == {"stable"}
    has_glossary = "glossary" in languages[0]["features"]
    assert has_glossary is (resource != "glossary")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "Parameter 'resource' not specified."),
        ("?resource=voice", "Value for 'resource' not supported."),
    ],
)
def test_wrong_resource_is_refused(client, query, message):
    answer = client.get(f"/v3/languages{query}")

    assert (answer.status_code, answer.json()) == (400, {"message": message})
