import pytest

from service.engine.detector import Detector


@pytest.fixture(scope="module")
def detector() -> Detector:
    """One for all tests, for it loads its tables once.

    Nothing can tell what "xx" looks like, nor tell de-CH from de-AT.
    """
    return Detector(["de-AT", "de-CH", "en", "fr", "xx"])


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Guten Morgen, wie geht es dir heute?", "de-AT"),
        ("Good morning, how are you today?", "en"),
        ("Bonjour, comment vas-tu aujourd'hui ?", "fr"),
    ],
)
def test_language_is_told_as_it_is_served(detector, text, language):
    detection = detector.detect(text)

    assert detection.language == language
    assert 0.5 < detection.confidence <= 1


def test_only_languages_that_are_served_are_found(detector):
    assert detector.detect("Dzień dobry, jak się masz?").language in {"de-AT", "en", "fr"}


def test_only_language_is_certain():
    detection = Detector(["de"]).detect("Hello")

    assert (detection.language, detection.confidence) == ("de", 1.0)


def test_languages_that_nothing_tells_are_not_certain():
    assert Detector(["xx", "yy"]).detect("Hello there").confidence == 0


@pytest.mark.parametrize("text", ["", " \n", "12 + 3 = 15", "!?"])
def test_text_without_letters_is_of_no_certain_language(detector, text):
    assert detector.detect(text).confidence == 0


def test_several_are_told_the_best_first_and_are_certain_together(detector):
    text = "Guten Morgen, how are you?"

    found = detector.detect_all(text, 3)

    assert {each.language for each in found} == {"de-AT", "en", "fr"}
    assert [each.confidence for each in found] == sorted(
        (each.confidence for each in found), reverse=True
    )
    assert sum(each.confidence for each in found) == pytest.approx(1)
    assert detector.detect(text) == found[0]
    assert detector.detect_all(text, 2) == found[:2]


@pytest.mark.parametrize("text", ["Guten Morgen", "Bonjour"])
def test_greeting_is_certain(detector, text):
    # py3langid itself says 0.9.
    assert detector.detect(text).confidence > 0.99


def test_one_word_is_less_certain_than_a_sentence(detector):
    word, sentence = detector.detect("Morgen"), detector.detect("Morgen ist auch noch ein Tag.")

    assert word.confidence < 0.95 < sentence.confidence


@pytest.mark.parametrize(("language", "is_known"), [("de-AT", True), ("en", True), ("xx", False)])
def test_it_says_which_of_its_languages_it_recognises(detector, language, is_known):
    assert detector.knows(language) == is_known
