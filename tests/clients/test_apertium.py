"""The requests of programs that speak to a server of Apertium APy."""

import httpx2
import pytest


class TestWeblate:
    """The requests of its machinery, version 5.14."""

    def test_set_up_lists_pairs_and_translates_a_word_by_the_first(self, server, engine):
        pairs = httpx2.get(f"{server}/apy/listPairs").json()["responseData"]
        source, target = pairs[0]["sourceLanguage"], pairs[0]["targetLanguage"]
        query = {"langpair": f"{source}|{target}", "q": "test", "markUnknown": "no"}
        answer = httpx2.get(f"{server}/apy/translate", params=query).json()

        assert answer["responseStatus"] == 200
        assert answer["responseData"]["translatedText"] == engine("test", source, target)


@pytest.mark.parametrize("pair", ["de|en", "deu|eng", "DE|EN", "de_AT|en_US"])
def test_languages_may_be_written_in_any_way(server, engine, pair):
    answer = httpx2.get(f"{server}/apy/translate", params={"langpair": pair, "q": "Tür"}).json()

    assert answer["responseData"]["translatedText"] == engine("Tür", "de", "en")


def test_languages_of_a_text_are_told_the_likeliest_first(server):
    found = httpx2.get(f"{server}/apy/identifyLang", params={"q": "Guten Morgen, Welt"}).json()

    assert list(found) == ["de", "en"]
    assert sum(found.values()) == pytest.approx(1)


class TestOmegaT:
    """The request of its connector, version 6."""

    def test_segment_is_translated(self, server, engine):
        text = "Eine <g1>Tür</g1> & 100 %."
        query = {"q": text, "markUnknown": "no", "langpair": "de|en", "key": "bwuxb5jS"}
        answer = httpx2.get(f"{server}/apy/translate", params=query).json()

        assert answer["responseStatus"] == 200
        translation = answer["responseData"]["translatedText"]
        assert translation == engine(text, "de", "en")
        assert translation.count("<g1>") == translation.count("</g1>") == 1

    def test_failure_is_told_by_status_and_details(self, server):
        query = {"q": "a", "markUnknown": "no", "langpair": "de|zz", "key": "bwuxb5jS"}
        answer = httpx2.get(f"{server}/apy/translate", params=query).json()

        assert answer["responseStatus"] == 400
        assert answer["responseDetails"] == "de-zz is not served"
