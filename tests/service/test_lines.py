from dataclasses import dataclass, field

import pytest

from service.engine import Translation, TranslationOptions
from service.errors import UnsupportedPair
from service.lines import AUTO, LINES_TOGETHER, translate_lines

OPTIONS = TranslationOptions()
DE_EN = ("de", "en")


@dataclass
class Shouter:
    """A translator into capitals."""

    source: str
    target: str
    calls: list[int] = field(default_factory=list)

    def translate_all(self, texts, options):
        self.calls.append(0)
        for text in texts:
            self.calls[-1] += 1
            yield Translation(
                text=f"{self.source}:{text.upper()}",
                source=self.source,
                target=self.target,
                model="shouter/1",
                score=-1.0,
                finish_reason="eos",
                alternatives=[],
            )


@dataclass
class Detection:
    language: str


class Shouters:
    """Models for de-en and fr-en that take the first two letters of a line for its language."""

    def __init__(self):
        self.de, self.fr = Shouter("de", "en"), Shouter("fr", "en")

    def detect(self, text):
        return Detection(text[:2])

    def find(self, source, target):
        if (source, target.lower()[:2]) not in {("de", "en"), ("fr", "en")}:
            raise UnsupportedPair(f"{source}-{target} is not served")
        return self.de if source == "de" else self.fr


@pytest.fixture
def models():
    return Shouters()


def texts_of(translations):
    return [translation.text for translation in translations]


def test_lines_of_one_language_share_one_stream(models):
    lines = [f"a{i}" for i in range(200)]

    assert texts_of(translate_lines(models, DE_EN, lines, OPTIONS)) == [
        f"de:A{i}" for i in range(200)
    ]
    assert models.de.calls == [200]


def test_detected_languages_are_translated_apart_and_come_back_in_order(models):
    lines = ["de a", "fr b", "de c", "fr d"]

    translations = translate_lines(models, (AUTO, "en"), lines, OPTIONS)

    assert texts_of(translations) == ["de:DE A", "fr:FR B", "de:DE C", "fr:FR D"]
    assert (models.de.calls, models.fr.calls) == ([2], [2])


@pytest.mark.parametrize("target", ["en", "EN", "en-GB"])
def test_line_in_the_target_language_passes_as_it_is(models, target):
    translations = list(translate_lines(models, (AUTO, target), ["en a", "de b"], OPTIONS))

    assert texts_of(translations) == ["en a", "de:DE B"]
    assert (translations[0].source, translations[0].model) == ("en", "")


def test_detection_reads_no_further_than_one_chunk_ahead(models):
    lines = iter([f"de {i}" for i in range(3 * LINES_TOGETHER)])

    next(translate_lines(models, (AUTO, "en"), lines, OPTIONS))

    assert len(list(lines)) == 2 * LINES_TOGETHER


@pytest.mark.parametrize("source", ["de", AUTO])
def test_line_that_is_still_to_come_is_not_waited_for(models, source):
    lines = iter(["de a", "de b", "de c"])
    blocks = iter([False, True])

    translations = translate_lines(models, (source, "en"), lines, OPTIONS, lambda: next(blocks))

    assert texts_of([next(translations), next(translations)]) == ["de:DE A", "de:DE B"]
    assert list(lines) == ["de c"]


def test_pair_without_a_model_is_refused(models):
    with pytest.raises(UnsupportedPair, match="de-fr is not served"):
        next(translate_lines(models, ("de", "fr"), ["a"], OPTIONS))


def test_same_language_on_both_sides_is_refused_unless_detected(models):
    with pytest.raises(UnsupportedPair, match="en-en is not served"):
        next(translate_lines(models, ("en", "en"), ["a"], OPTIONS))
