"""Whole texts through a translator whose network knows nothing: what it writes is noise."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest

from service.engine import FinishedSentence, Markup, TranslationOptions, Translator, open_translator

HTML = (
    '<!DOCTYPE html><!-- a --><p title="Haus">Das <b>Haus</b> ist {size}, <i>aber <b>schön</b></i>.'
    " Wie geht es %s?</p><pre>Das  Haus</pre><p>Ich sehe <code>x &lt; y</code> und 😀 Katzen.</p>"
)
KEPT = ["{size}", "%s", "<code>x &lt; y</code>", "😀", "<pre>Das  Haus</pre>", "<!-- a -->"]


@pytest.fixture(scope="module")
def translator(tiny_bundle) -> Iterator[Translator]:
    translator = open_translator(tiny_bundle.path, ("de", "en"))
    yield translator
    translator.close()


def options(**chosen) -> TranslationOptions:
    return TranslationOptions(markup=Markup("html"), **chosen)


def tags(text: str) -> Counter[str]:
    body = text.removeprefix("<!DOCTYPE html>").replace("%s", "s")
    return Counter(each.tag for each in ElementTree.fromstring(f"<r>{body}</r>").iter())


def test_alternatives_of_html_are_as_whole_as_the_best(translator):
    translation = asyncio.run(translator.translate(HTML, options(alternatives=2, beam=4)))

    assert translation.alternatives
    for text in (translation.text, *translation.alternatives):
        assert tags(text) == tags(HTML)
        assert [text.count(kept) for kept in KEPT] == [1] * len(KEPT)
    assert translation.lost == ()


def test_spans_are_those_of_the_texts_with_tags(translator):
    translation = asyncio.run(translator.translate(HTML, options(alignment=True)))

    rest = [HTML, translation.text]
    for sentence in reversed(translation.sentences):
        for i, (begin, end) in enumerate((sentence.source_span, sentence.target_span)):
            rest[i] = rest[i][:begin] + rest[i][end:]
    assert rest[0] == rest[1]
    for begin, end, _, _ in translation.alignment:
        assert "<" not in HTML[begin:end] or HTML[begin:end].startswith("<code>")


def test_sentences_that_are_streamed_make_the_text(translator):
    async def stream() -> tuple[str, str]:
        parts = [part async for part in translator.stream(HTML, options())]
        text = HTML
        sentences = [part for part in parts if isinstance(part, FinishedSentence)]
        for part in sorted(sentences, key=lambda part: -part.index):
            begin, end = part.source_span
            text = text[:begin] + part.text + text[end:]
        return text, parts[-1].text

    streamed, whole = asyncio.run(stream())

    assert streamed == whole


def test_text_with_nothing_to_keep_is_translated_as_without_markup(translator):
    text = "Das Haus ist klein, aber schön. Guten Morgen."

    plain, marked = (
        list(translator.translate_all([text])),
        translator.translate_all([text], options()),
    )

    assert [each.score for each in plain] == [each.score for each in marked]
