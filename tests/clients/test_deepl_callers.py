"""Requests as programs that know DeepL send them, replayed against a real server."""

import httpx2
import pytest

PLACEHOLDER = '<x id="7"></x>'


@pytest.fixture
def http(server):
    headers = {"Authorization": "DeepL-Auth-Key any"}
    with httpx2.Client(base_url=server, headers=headers) as client:
        yield client


def weblate(http, texts, **change):
    """Translate as Weblate does, in batches of up to 20 texts."""
    body = {
        "text": texts,
        "source_lang": "EN",
        "target_lang": "DE",
        "formality": "default",
        "tag_handling": "xml",
        "ignore_tags": ["x"],
    }
    answer = http.post("/v2/translate", json=body | change)
    assert answer.status_code == 200, answer.text
    return [each["text"] for each in answer.json()["translations"]]


def test_weblate_finds_its_languages(http):
    sources = {each["language"] for each in http.get("/v2/languages").json()}
    targets = http.get("/v2/languages", params={"type": "target"}).json()

    assert "EN" in sources
    assert "DE" in {each["language"] for each in targets}
    assert not any(each["supports_formality"] for each in targets)


def test_weblate_accepts_the_server_at_set_up(http):
    assert weblate(http, ["test"])[0]


def test_weblate_gets_a_translation_for_each_text_of_a_batch(http):
    texts = [f"I see {i} dogs." for i in range(20)]

    assert weblate(http, texts) == [weblate(http, [text])[0] for text in texts]


def test_weblate_keeps_its_glossary_and_translates_with_it(http):
    pairs = http.get("/v2/glossary-language-pairs").json()["supported_languages"]
    body = {
        "name": "weblate:1:en:de:abc",
        "source_lang": "EN",
        "target_lang": "DE",
        "entries": "dog\tHund\r\ncat\tKatze\r\n",
        "entries_format": "tsv",
    }
    made = http.post("/v2/glossaries", json=body)
    listed = {
        each["name"]: each["glossary_id"]
        for each in http.get("/v2/glossaries").json()["glossaries"]
    }

    assert {"source_lang": "en", "target_lang": "de"} in pairs
    assert (made.status_code, made.json()["entry_count"]) == (201, 2)
    assert "Hund" in weblate(http, ["I see a dog."], glossary_id=listed[body["name"]])[0]
    assert http.delete(f"/v2/glossaries/{listed[body['name']]}").status_code == 204


def test_weblate_gets_its_placeholders_back(http):
    text = f"I see {PLACEHOLDER} dogs &amp; two cats."

    (translated,) = weblate(http, [text])

    assert translated.count(PLACEHOLDER) == 1
    assert "<" not in translated.replace(PLACEHOLDER, "")


def test_mastodon_sends_a_form_with_a_name_and_no_value(http, engine):
    form = "text=%3Cp%3EDas+Haus%3C%2Fp%3E&text=Hund&source_lang&target_lang=en&tag_handling=html"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    answer = http.post("/v2/translate", content=form, headers=headers)

    translations = answer.json()["translations"]
    assert [each["detected_source_language"] for each in translations] == ["DE", "DE"]
    assert translations[0]["text"].startswith("<p>")
    assert translations[0]["text"].endswith("</p>")
    assert translations[1]["text"] == engine("Hund", "de", "en")
