import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.formats import FormatOptions, Translated
from service.formats.pages import parse

OPTIONS = FormatOptions("en", "de")
PAGE = """<!DOCTYPE html>
<html class=a LANG='en'><head><meta charset="utf-8"><title>My &lt;house&gt;</title>
<meta name="description" content='It&#39;s "mine" &amp; yours'><meta name=robots content="index">
<style>p > b {x: "y"}</style><script>if (a < b) alert("hello")</script></head>
<body><!-- keep me --><H1>Hi</H1>
<p id=p1>My <b>small</b> house.<br>Two <a href="/?a=1&b=2" title='The dogs'>dogs</a></p>
<p translate="no">Never <img alt="this"></p><pre>nor this</pre>
<img src=a.png alt=" A cat " title="x>y"><ul><li>One<li>Two <code>print()</code></ul>
</body></html>
"""


def shout(markup: str) -> str:
    """Translate as the engine does: the text, and neither tags nor entities nor code."""
    parts = re.split(r"(<code>.*?</code>|<[^>]*>|&#?\w+;)", markup)
    return "".join(part if i % 2 else part.upper() for i, part in enumerate(parts))


def test_page_comes_back_as_it_was_but_for_its_language(translate):
    expected = PAGE.replace("LANG='en'", 'LANG="de"')

    assert translate(PAGE.encode(), "a.html").decode() == expected


def test_text_titles_and_descriptions_are_translated_and_nothing_else(translate):
    expected = (
        PAGE.replace("LANG='en'", 'LANG="de"')
        .replace("My &lt;house&gt;", "MY &lt;HOUSE&gt;")
        .replace('It&#39;s "mine" &amp; yours', 'IT&#39;S "MINE" &amp; YOURS')
        .replace(">Hi<", ">HI<")
        .replace("My <b>small</b> house.", "MY <b>SMALL</b> HOUSE.")
        .replace("Two <a", "TWO <a")
        .replace("The dogs", "THE DOGS")
        .replace(">dogs<", ">DOGS<")
        .replace("A cat", "A CAT")
        .replace("x>y", "X&gt;Y")
        .replace("One", "ONE")
        .replace("Two <code", "TWO <code")
    )

    assert translate(PAGE.encode(), "a.html", shout).decode() == expected


def test_segment_is_a_block_with_its_inline_tags():
    texts = [(each.text, each.markup) for each in parse(PAGE.encode(), OPTIONS).segments]

    assert ("My <b>small</b> house.", "html") in texts
    assert ("Hi", None) in texts
    assert ("The dogs", None) in texts


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("<html><p>a", '<html lang="de"><p>A'),
        ("<HTML xml:lang=en lang=en>", '<HTML xml:lang="de" lang="de">'),
        ("<p>a", "<p>A"),
        ("", ""),
    ],
)
def test_language_is_set_where_there_is_a_root(translate, content, expected):
    assert translate(content.encode(), "a.html", shout).decode() == expected


def test_translation_cannot_leave_its_attribute(translate):
    made = translate(b"<p title='a'>b</p><img alt=\"a\">", "a.html", lambda text: "\"'<&")

    assert made.decode() == (
        "<p title='\"&#39;&lt;&amp;'>\"'&lt;&amp;</p><img alt=\"&quot;'&lt;&amp;\">"
    )


@pytest.mark.parametrize(
    ("declared", "encoding"), [("utf-8", "utf-8"), ("ISO-8859-1", "cp1252"), ("koi8-r", "koi8-r")]
)
def test_declared_encoding_is_kept_and_lacking_characters_are_referred_to(
    translate, declared, encoding
):
    letter = "д" if encoding == "koi8-r" else "€"
    page = f'<meta charset="{declared}"><p>{letter}a</p>'

    made = translate(page.encode(encoding), "a.html", lambda text: f"{text}→")

    arrow = "→" if encoding == "utf-8" else "&#8594;"
    assert made.decode(encoding) == page.replace("a</p>", f"a{arrow}</p>")


PIECES = [
    *["<p>", "</p>", "<b class='x' title=\"a\">", "</b>", "text ", "&amp;", "&#12", "&x", "<!--"],
    *["-->", "<!DOCTYPE html>", "<script>", "</script>", "<br/>", "<", "/>", ">", "\n", "<?php"],
    *["?>", "ü", "<![CDATA[", "]]>", "</", "<!", "<title>", "<img alt='b ' ", "<code>", '"', "'"],
    *[" translate=no", " title='c'"],
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_any_tags_come_back_as_they_were(page):
    draft = parse(page.encode(), OPTIONS)

    assert draft.render([Translated(each.text) for each in draft.segments]).decode() == page


@pytest.mark.parametrize("piece", ["<", "<!--", "<a ", "<a b='", "</", "&", "<p title='a'>x"])
def test_broken_page_is_read_in_one_pass(piece):
    content = (piece * 20_000).encode()

    draft = parse(content, OPTIONS)

    assert len(draft.segments) <= 40_000
