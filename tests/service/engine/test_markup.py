"""Which text of HTML and XML is translated, and which of it together."""

import pytest

from service.engine.markup import Markup, read_markup, visible

HTML, XML = Markup("html"), Markup("xml")
KEPT = "\ufffc"


def flows(text: str, markup: Markup) -> list[str]:
    return [flow.meant.text.strip() for flow in read_markup(text, markup).flows]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<p>One.</p><p>Two.</p>", ["One.", "Two."]),
        ("<p>One <b>two <i>three</i></b>.</p>", ["One two three."]),
        ("<ul><li>One<li>Two</ul>three", ["One", "Two", "three"]),
        ("<p>One<p>Two<table><tr><td>a<td>b</table>", ["One", "Two", "a", "b"]),
        ("One<br>two<hr/>three", ["One", "two", "three"]),
        ("One <img src=x> two", ["One  two"]),
        ("<title>A &amp; <b></title><p>x", ["A & b>", "x"]),
        ("<script>a</script>b<style>c</style>d<pre>e</pre>", ["b", "d"]),
        ("a <code>b <i>c</i></code> d", [f"a {KEPT} d"]),
        ("a <i translate=no>b <i>c</i></i> d", [f"a {KEPT} d"]),
        ("a <b class='x notranslate y'>b</b> d", [f"a {KEPT} d"]),
        ('<div translate="no">a<p>b</p><p translate="yes">c</p>d</div>e', ["c", "e"]),
        ("a &lt;b&gt; &amp;amp; &copy; &#65;&nbsp;B", ["a <b> &amp; © A\u00a0B"]),
        ("<!DOCTYPE html><!-- a --><?b c?><html><body>d", ["d"]),
        ("<P>One</P><DIV>Two</DIV>", ["One", "Two"]),
        ("<p title='a > b'>One", ["One"]),
        ("   \n ", []),
        ("<p> </p>", []),
    ],
)
def test_html_ends_a_flow_where_a_block_does(text, expected):
    assert flows(text, HTML) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["One two three.", "Four."]),
        ({"ignore_tags": ("b",)}, [f"One {KEPT} three.", "Four."]),
        ({"ignore_tags": ("P",)}, ["Four."]),
        ({"splitting_tags": ("b",)}, ["One", "two", "three.", "Four."]),
        ({"non_splitting_tags": ("p", "div")}, ["One two three.Four."]),
    ],
)
def test_callers_choose_tags_of_html(options, expected):
    text = "<p>One <b>two</b> three.</p><div>Four.</div>"

    assert flows(text, Markup("html", **options)) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["One two three.", "Four."]),
        ({"outline_detection": False}, ["One two three.Four."]),
        ({"outline_detection": False, "splitting_tags": ("s",)}, ["One two three.", "Four."]),
        ({"splitting_tags": ("b",)}, ["One", "two", "three.", "Four."]),
        ({"non_splitting_tags": ("s",)}, ["One two three.Four."]),
        ({"ignore_tags": ("b",)}, [f"One {KEPT} three.", "Four."]),
        ({"ignore_tags": ("s",)}, []),
    ],
)
def test_callers_choose_tags_of_xml(options, expected):
    text = "<d><s>One <b>two</b> three.</s><s>Four.</s></d>"

    assert flows(text, Markup("xml", **options)) == expected


def test_xml_may_be_a_piece_or_a_document():
    piece = "One <b/> &lt;two&gt; &nbsp;<![CDATA[x]]>"
    document = "<?xml version='1.0'?>\n<!DOCTYPE d [<!ENTITY e 'x'>]>\n<d>Say &e;!</d>"

    assert flows(piece, XML) == ["One  <two>"]
    assert flows(document, XML) == [f"Say {KEPT}!"]


def test_xml_says_what_is_not_to_be_translated():
    assert flows('<a>b <c translate="no">d</c></a>', XML) == [f"b {KEPT}"]
    assert flows('<a>b <c its:translate="no">d</c></a>', XML) == [f"b {KEPT}"]


def test_entities_of_xml_are_never_expanded():
    bomb = "".join(f"<!ENTITY e{i} '{f'&e{i - 1};' * 10}'>" for i in range(1, 12))

    assert flows(f"<!DOCTYPE d [<!ENTITY e0 'x'>{bomb}]><d>&e11;</d>", XML) == [KEPT]


def test_language_is_that_of_the_words():
    text = "<p class='the house'>Guten <b>Morgen</b></p><script>var the = house</script>"

    assert visible(text, HTML) == "Guten Morgen"
    assert visible("<p>a", XML) == "<p>a"
    assert visible("<p>a", None) == "<p>a"
