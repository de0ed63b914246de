"""The requests of programs that speak to a server of Apertium APy."""

import httpx2


class TestWeblate:
    """The requests of its machinery, version 5.14."""

    def test_set_up_lists_pairs_and_translates_a_word_by_the_first(self, server, engine):
        pairs = httpx2.get(f"{server}/apy/listPairs").json()["responseData"]
        source, target = pairs[0]["sourceLanguage"], pairs[0]["targetLanguage"]
        query = {"langpair": f"{source}|{target}", "q": "test", "markUnknown": "no"}
        answer = httpx2.get(f"{server}/apy/translate", params=query).json()

        assert answer["responseStatus"] == 200
        assert answer["responseData"]["translatedText"] == engine("test", source, target)


class TestOmegaT:
    """The request of its connector, version 6."""

    def test_segment_is_translated(self, server, engine):
        text = "Eine <g1>Tür</g1> & 100 %."
        query = {"q": text, "markUnknown": "no", "langpair": "de|en", "key": "bwuxb5jS"}
        answer = httpx2.get(f"{server}/apy/translate", params=query).json()

        assert answer["responseStatus"] == 200
        assert answer["responseData"]["translatedText"] == engine(text, "de", "en")

    def test_failure_is_told_by_status_and_details(self, server):
        query = {"q": "a", "markUnknown": "no", "langpair": "de|zz", "key": "bwuxb5jS"}
        answer = httpx2.get(f"{server}/apy/translate", params=query).json()

        assert answer["responseStatus"] == 400
        assert answer["responseDetails"] == "de-zz is not served"
