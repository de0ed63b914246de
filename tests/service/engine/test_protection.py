"""What comes back whole, whatever a model makes of the sentences between.

The models here are the worst there are: what they write and where they look is drawn at random.
"""

import re
from collections import Counter
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.alignment import WordShares, words
from service.engine.markup import Markup
from service.engine.protection import Layout, protect
from service.engine.restoration import restore
from service.errors import InvalidRequest

HTML, XML = Markup("html"), Markup("xml")
PLACEHOLDERS = [
    *("{name}", "%s", "%1$d", "{{ x }}", "${x}", "[X7X]", "{n, plural, one {# a} other {# b}}"),
    *("https://example.com/a?b=1", "a.b@example.org", "4711", "12:30", "😀", "👩‍👩‍👧", "→"),
    *("Москва", "東京", '<x id="7"/>', "&nbsp;", "AT&amp;T"),
]
WORDS = ["Tom", "sees", "a", "dog", "in", "Boston", "and", "2", "cats"]
PLAIN = st.lists(st.sampled_from([*PLACEHOLDERS, *WORDS, ".", "!"]), max_size=9).map(" ".join)
NASTY = st.text("ab1. <>&;/\"'=!-{}%\n\t\u00a0\u0301\u200f\x00\ud800😀漢", max_size=40)
SPLITS = st.sampled_from(["sentences", "lines", "nonewlines"])


def is_latin(character: str) -> bool:
    return ord(character[0]) < 0x250


def lay_out(text: str, markup: Markup | None = None, split="sentences", most=10_000) -> Layout:
    return protect(
        text,
        "en",
        split=split,
        markup=markup,
        fits=lambda sentence: len(sentence) <= most,
        is_known=is_latin,
    )


def copy(layout: Layout) -> tuple[str, list[str]]:
    """Let a model copy each sentence as it read it."""
    restored = []
    for sentence in layout.sentences:
        found = words(sentence.text)
        shares = WordShares(found, found, np.eye(len(found)))
        restored.append(restore(sentence, sentence.text, shares))
    return layout.join([each.text for each in restored]), [
        text for each in restored for text in each.lost
    ]


@st.composite
def garbled(draw, layout: Layout) -> tuple[str, list[str]]:
    """Let a model write and look anywhere."""
    restored = []
    for sentence in layout.sentences:
        known = sentence.text.split()
        decoded = draw(
            st.lists(st.sampled_from([*known, *WORDS, "<b>", "&", "23", "."]), max_size=8)
        )
        decoded = " ".join(decoded)
        source, target = words(sentence.text), words(decoded)
        weights = st.lists(
            st.lists(st.sampled_from([0.0, 0.3, 1.0]), min_size=len(source), max_size=len(source)),
            min_size=len(target),
            max_size=len(target),
        )
        shares = np.array(draw(weights)).reshape(len(target), len(source))
        restored.append(restore(sentence, decoded, WordShares(source, target, shares)))
    return layout.join([each.text for each in restored]), [
        text for each in restored for text in each.lost
    ]


@given(PLAIN | NASTY, SPLITS)
def test_text_of_a_model_that_copies_comes_back_as_it_was(text, split):
    assert copy(lay_out(text, split=split)) == (text, [])


@given(st.text(), SPLITS, st.integers(1, 6))
def test_any_text_in_short_pieces_comes_back_as_it_was(text, split, most):
    assert copy(lay_out(text, split=split, most=most))[0] == text


@given(PLAIN, st.data())
def test_every_placeholder_is_there_once_or_is_told_as_lost(text, data):
    translated, lost = data.draw(garbled(lay_out(text)))

    for placeholder in PLACEHOLDERS:
        assert translated.count(placeholder) == text.count(placeholder)
        assert placeholder not in lost


@given(PLAIN, st.data())
def test_number_of_the_models_is_there_or_is_told_as_lost(text, data):
    translated, lost = data.draw(garbled(lay_out(text)))

    rest = re.sub("|".join(map(re.escape, PLACEHOLDERS)), "", translated)
    assert len(re.findall(r"\b2\b", rest)) + lost.count("2") >= text.split().count("2")


@given(st.lists(PLAIN, max_size=4), st.sampled_from(["\n", "\r\n", "\n\n \n", "\t\n"]), st.data())
def test_lines_and_what_is_around_them_stay(lines, between, data):
    text = f" \t{between.join(lines)}\u00a0\n"

    translated, _ = data.draw(garbled(lay_out(text)))

    assert translated.startswith(" \t")
    assert translated.endswith("\u00a0\n")
    assert translated.count(between) == text.count(between)


@given(st.lists(st.sampled_from(WORDS), min_size=2, max_size=9), st.data())
def test_newline_within_a_sentence_is_there_or_is_told_as_lost(found, data):
    text = "\n".join(found)

    translated, lost = data.draw(garbled(lay_out(text, split="nonewlines")))

    assert translated.count("\n") + lost.count("\n") == text.count("\n")


NAMES = st.sampled_from(["b", "i", "a", "p", "div", "br", "code", "x-y"])
ATTRIBUTES = st.sampled_from(["", ' class="k l"', " translate='no'", ' title="a &lt; b > c"'])
TEXTS = PLAIN.map(lambda text: text.replace("&nbsp;", "&lt;").replace("<x", "<x class='7'"))


def element(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def write(name: str, attributes: str, content: list[str]) -> str:
        return f"<{name}{attributes}>{' '.join(content)}</{name}>"

    return st.builds(write, NAMES, ATTRIBUTES, st.lists(children, max_size=3))


OTHERS = st.sampled_from(["<!-- a > b -->", "<?php x ?>", "<![CDATA[a < b]]>", "<i/>"])
TREES = st.recursive(TEXTS | OTHERS, element, max_leaves=8)
FRAGMENTS = st.lists(TREES, max_size=4).map(" ".join)


def elements(text: str) -> Counter[str]:
    root = ElementTree.fromstring(f"<root>{text}</root>")
    return Counter(f"{each.tag} {sorted(each.items())}" for each in root.iter())


@given(FRAGMENTS, st.data())
def test_elements_of_xml_are_the_same_after_and_well_formed(text, data):
    translated, _ = data.draw(garbled(lay_out(text, XML)))

    assert elements(translated) == elements(text)


@given(FRAGMENTS, st.data())
def test_tags_of_html_are_balanced_and_none_is_lost_or_doubled(text, data):
    # HTML takes <i/> for a tag that opens an element, and <br> for one that has no end.
    text = text.replace("<br", "<em").replace("</br", "</em").replace("<i/>", "<hr/>")

    translated, _ = data.draw(garbled(lay_out(text, HTML)))

    assert elements(translated) == elements(text)


KEPT = [
    *("<!-- a > b -->", "<![CDATA[a < b]]>", "<?php x ?>", "<!DOCTYPE html>"),
    *("<script>if (a < b) '</b>'</script>", "<style>p > a {}</style>", "<pre>a\n  b</pre>"),
    *('<code class="x">a &amp; b</code>', '<i translate="no">a <b>b</b></i>', "<hr/>"),
    *('<p class="big notranslate">One.</p>', "<img alt='A dog.' src=x>", "<textarea>a</textarea>"),
]


@given(st.lists(st.sampled_from([*KEPT, *WORDS, "<b>", "</b>", "<p>"])), st.data())
def test_what_html_keeps_comes_back_byte_for_byte(parts, data):
    text = " ".join(parts)

    translated, _ = data.draw(garbled(lay_out(text, HTML)))

    for kept in [*KEPT, "</b>", "<p>"]:
        assert translated.count(kept) == text.count(kept)


@given(st.text("abp</> =\"'!-?&;[]CDAT\n\ud800"), st.data())
def test_broken_html_keeps_its_tags_in_their_order(text, data):
    tags = re.compile(r"</?[a-z][^<>\"']*>")

    translated, _ = data.draw(garbled(lay_out(text, HTML)))

    assert Counter(tags.findall(copy(lay_out(text, HTML))[0])) == Counter(tags.findall(text))
    assert translated.count("<") == text.count("<")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<a><b></a>", "mismatched tag in line 1, column 8"),
        ("a & b", "invalid token"),
        ("<a>\n<b c='d</a>", "line 2"),
        ("a\x01b", "invalid token"),
        ("</dragoman>", "mismatched tag in line 1"),
        ("a\ud800b", "character 1"),
    ],
)
def test_xml_that_is_none_is_refused_with_its_place(text, message):
    with pytest.raises(InvalidRequest, match=message) as refused:
        lay_out(text, XML)
    assert refused.value.field == "text"
