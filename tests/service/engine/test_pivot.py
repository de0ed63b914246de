"""Two translators in a row, both of them known word for word."""

import asyncio
from dataclasses import replace

import pytest

from service.engine.pivot import PivotTranslator
from service.engine.terms import Term
from service.engine.translation import AlignedSpan, Sentence, Translation, TranslationOptions
from service.errors import InvalidRequest, UnsupportedPair


def sentence(source, target, reason="eos", score=-1.0):
    return Sentence(source, target, score, 0.5, reason, log_probability=-2.0, num_tokens=4)


class Fake:
    """Gives the translations it was made with, and notes what it was asked."""

    def __init__(self, source, target, *translations):
        self.source, self.target, self.model = source, target, f"{source}-{target}/1"
        self._translations = dict(translations)
        self.asked = []
        self.is_closed = False

    async def translate(self, text, options):
        self.asked.append((text, options))
        return self._translations[text]

    def translate_all(self, texts, options):
        try:
            for text in texts:
                self.asked.append((text, options))
                yield self._translations[text]
        finally:
            self.is_closed = True


def translation(text, *sentences, alignment=None, **fields):
    made = Translation(text, "?", "?", "?", -1.0, "eos", [], confidence=0.5, sentences=sentences)
    return replace(made, alignment=alignment, **fields)


FIRST = translation(
    "Yes. No.",
    sentence((0, 3), (0, 4)),
    sentence((5, 10), (5, 8), "length"),
    alignment=(AlignedSpan(0, 2, 0, 3), AlignedSpan(5, 9, 5, 7)),
    lost=("{x}",),
)
SECOND = translation(
    "Oui. Non.",
    sentence((0, 4), (0, 4)),
    sentence((5, 8), (5, 9)),
    alignment=(AlignedSpan(0, 3, 0, 3), AlignedSpan(5, 7, 5, 8), AlignedSpan(3, 4, 3, 4)),
    alternatives=["Si. Non."],
    attention=None,
)
TEXT = "Ja.  Nein."


def make(first=FIRST, second=SECOND):
    return PivotTranslator(Fake("de", "en", (TEXT, first)), Fake("en", "fr", (first.text, second)))


def translate(translator, **options):
    return asyncio.run(translator.translate(TEXT, TranslationOptions(**options)))


def test_text_goes_through_both_and_says_so():
    found = translate(make())

    assert (found.text, found.source, found.target) == ("Oui. Non.", "de", "fr")
    assert (found.pivot, found.model) == ("en", "de-en/1+en-fr/1")
    assert found.score == -2.0
    assert found.alternatives == ["Si. Non."]
    assert found.lost == ("{x}",)
    assert found.finish_reason == "length"
    assert found.confidence is None


def test_one_bundle_that_serves_both_halves_is_named_once():
    translator = make()
    translator.second.model = translator.first.model

    assert translator.model == "de-en/1"


def test_sentences_reach_from_source_to_target():
    first, second = translate(make()).sentences

    assert (first.source_span, first.target_span, first.finish_reason) == ((0, 3), (0, 4), "eos")
    assert (second.source_span, second.target_span) == ((5, 10), (5, 9))
    assert second.finish_reason == "length"
    assert (first.score, first.log_probability, first.num_tokens) == (-2.0, -4.0, 4)
    assert first.confidence is None


@pytest.mark.parametrize(
    ("first", "second", "spans"),
    [
        # One sentence becomes two, two become one, and borders that lie in each other.
        ([((0, 10), (0, 8))], [((0, 4), (0, 4)), ((5, 8), (5, 9))], [((0, 10), (0, 9))]),
        ([((0, 3), (0, 4)), ((5, 10), (5, 8))], [((0, 8), (0, 9))], [((0, 10), (0, 9))]),
        (
            [((0, 3), (0, 4)), ((5, 10), (4, 8))],
            [((0, 6), (0, 5)), ((6, 8), (5, 9))],
            [((0, 10), (0, 9))],
        ),
        ([((0, 3), (0, 4))], [], []),
    ],
)
def test_sentences_that_were_split_elsewhere_are_one(first, second, spans):
    translator = make(
        translation("Yes. No.", *(sentence(*each) for each in first)),
        translation("Oui. Non.", *(sentence(*each) for each in second)),
    )

    found = translate(translator).sentences

    assert [(each.source_span, each.target_span) for each in found] == spans


def test_words_are_aligned_by_way_of_the_words_between():
    assert translate(make(), alignment=True).alignment == (
        AlignedSpan(0, 2, 0, 3),
        AlignedSpan(5, 9, 5, 8),
    )


def test_both_models_are_asked_alike_but_for_what_only_the_last_can_say():
    translator = make()

    translate(translator, beam=3, alternatives=2, attention=True, split="lines")

    [(_, first)], [(text, second)] = translator.first.asked, translator.second.asked
    assert text == FIRST.text
    assert second == TranslationOptions(beam=3, alternatives=2, split="lines")
    assert first == TranslationOptions(beam=3, split="lines")


def test_both_models_share_the_deadline():
    translator = make()

    translate(translator, deadline_seconds=60.0)

    [(_, first)], [(_, second)] = translator.first.asked, translator.second.asked
    assert first.deadline_seconds == 60.0
    assert 0 < second.deadline_seconds <= 60.0


def test_many_texts_go_through_both_as_one_does():
    translator = make()

    found = list(translator.translate_all([TEXT] * 3, TranslationOptions()))

    assert found == [translate(translator)] * 3
    assert translator.first.is_closed
    assert translator.second.is_closed


def test_iterator_that_is_given_up_closes_both():
    translator = make()

    found = translator.translate_all([TEXT] * 3, TranslationOptions())
    next(found)
    found.close()

    assert translator.first.is_closed
    assert translator.second.is_closed


def test_stream_is_the_text_alone():
    async def collect():
        return [each async for each in make().stream(TEXT)]

    assert asyncio.run(collect()) == [translate(make())]


def test_terms_are_refused():
    with pytest.raises(InvalidRequest) as refused:
        translate(make(), terms=(Term("Ja", "Si"),))
    assert refused.value.field == "terms"


def test_scores_are_refused():
    with pytest.raises(UnsupportedPair, match="de-fr has no model of its own"):
        asyncio.run(make().score(TEXT, "Oui. Non."))
