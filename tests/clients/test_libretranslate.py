"""Unmodified clients of LibreTranslate, and the requests of programs that speak to it."""

import json
import re
import urllib.request
from urllib.error import HTTPError

import httpx2
import pytest
from deep_translator import LibreTranslator
from deep_translator.exceptions import AuthorizationException, ServerException
from libretranslatepy import LibreTranslateAPI

TEXT = "Guten Morgen.\n  Wie geht's? 100 % & mehr\n"


@pytest.fixture(scope="module")
def libretranslatepy(server) -> LibreTranslateAPI:
    return LibreTranslateAPI(server)


def test_libretranslatepy_translates(libretranslatepy, engine):
    assert libretranslatepy.translate(TEXT, "de", "en") == engine(TEXT, "de", "en")


def test_libretranslatepy_detects(libretranslatepy):
    [found] = libretranslatepy.detect("Guten Morgen. Wie geht es dir?")

    assert found["language"] == "de"
    assert 50 < found["confidence"] <= 100


def test_libretranslatepy_lists_languages(libretranslatepy):
    assert {each["code"]: each["name"] for each in libretranslatepy.languages()} == {
        "de": "German",
        "en": "English",
    }


def test_libretranslatepy_is_told_what_is_wrong(libretranslatepy):
    with pytest.raises(HTTPError) as caught:
        libretranslatepy.translate("a", "de", "zz")

    assert caught.value.code == 400
    assert json.load(caught.value) == {"error": "zz is not supported"}


def deep_translator(server, **languages) -> LibreTranslator:
    return LibreTranslator(api_key="any", custom_url=f"{server}/", **languages)


def test_deep_translator_translates(server, engine):
    translator = deep_translator(server, source="de", target="en")

    assert translator.translate(TEXT) == engine(TEXT, "de", "en")


def test_deep_translator_finds_the_language(server, engine):
    text = "Guten Morgen. Wie geht es dir?"
    translator = deep_translator(server, source="auto", target="en")

    assert translator.translate(text) == engine(text, "de", "en")


def test_deep_translator_translates_a_batch(server, engine):
    texts = ["Guten Morgen.", "Wie geht es dir?"]
    translator = deep_translator(server, source="German", target="English")

    assert translator.translate_batch(texts) == [engine(text, "de", "en") for text in texts]


def test_deep_translator_raises_its_own_exception(server):
    translator = deep_translator(server, source="de", target="fr")

    with pytest.raises(ServerException):
        translator.translate("Guten Morgen.")


def test_libretranslatepy_sends_its_key(keyed_server, engine):
    client = LibreTranslateAPI(keyed_server.url, keyed_server.make("translate"))

    assert client.translate(TEXT, "de", "en") == engine(TEXT, "de", "en")


def test_libretranslatepy_is_told_that_it_needs_a_key(keyed_server):
    with pytest.raises(HTTPError) as caught:
        LibreTranslateAPI(keyed_server.url).detect("a")

    assert caught.value.code == 400
    assert "get an API key" in json.load(caught.value)["error"]


def test_deep_translator_knows_that_its_key_is_wrong(keyed_server):
    translator = deep_translator(keyed_server.url, source="de", target="en")

    with pytest.raises(AuthorizationException):
        translator.translate("Guten Morgen.")


class TestWeblate:
    """The requests of its machinery, version 5.14."""

    def test_set_up_lists_languages_and_translates_a_word(self, server, engine):
        languages = httpx2.get(f"{server}/languages").json()
        answer = self.ask(server, ["test"])

        assert {"en", "de"} <= {each["code"] for each in languages}
        assert answer == [engine("test", "en", "de")]

    def test_batch_of_twenty_comes_back_in_order(self, server, engine):
        texts = [f"Number {i} [X{i}X]" for i in range(20)]

        answer = self.ask(server, texts)

        assert answer == [engine(text, "en", "de") for text in texts]
        assert [i for i, text in enumerate(answer) if f"[X{i}X]" not in text] == []

    @staticmethod
    def ask(server, texts):
        body = {"api_key": "", "q": texts, "source": "en", "target": "de"}
        answer = httpx2.post(f"{server}/translate", json=body)
        answer.raise_for_status()
        return answer.json()["translatedText"]


class TestMastodon:
    """The requests of its translation service, version 4.3."""

    def test_targets_of_each_language_are_listed(self, server):
        languages = httpx2.get(f"{server}/languages").json()

        assert {each["code"]: set(each["targets"]) - {each["code"]} for each in languages} == {
            "de": {"en"},
            "en": {"de"},
        }

    def test_parts_of_a_post_are_translated_as_html(self, server):
        parts = ["<p>Guten Morgen, <a href='x'>#Welt</a>!</p>", "Warnung vor dem Hunde"]
        body = {
            "q": parts,
            "source": "auto",
            "target": "en",
            "format": "html",
            "api_key": "",
        }
        answer = httpx2.post(f"{server}/translate", json=body)

        found = answer.json()
        assert answer.status_code == 200, found
        assert [each["language"] for each in found["detectedLanguage"]] == ["de", "de"]
        first, second = found["translatedText"]
        assert re.fullmatch(r"<p>.*<a href='x'>.*</a>.*</p>", first)
        assert "<" not in second


def test_html_that_was_escaped_stays_escaped(server):
    text = "<p>1 &lt; 2 &lt;script&gt;alert(1)&lt;/script&gt;</p><!-- a > b -->"
    body = {"q": text, "source": "de", "target": "en", "format": "html"}
    answer = httpx2.post(f"{server}/translate", json=body).json()["translatedText"]

    assert re.fullmatch(r"<p>[^<>]*</p><!-- a > b -->", answer)


def test_form_of_curl_need_not_escape_anything(server, engine):
    form = "q=Grüße 😀&source=de&target=en".encode()

    with urllib.request.urlopen(f"{server}/translate", data=form) as answer:
        assert json.load(answer)["translatedText"] == engine("Grüße 😀", "de", "en")


def test_file_is_translated_and_fetched(server, engine):
    answer = httpx2.post(
        f"{server}/translate_file",
        files={"file": ("letter.txt", b"Guten Morgen.\n")},
        data={"source": "de", "target": "en"},
        timeout=60,
    )

    result = httpx2.get(answer.json()["translatedFileUrl"])
    assert result.text == engine("Guten Morgen.", "de", "en") + "\n"
