import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from service.errors import TextTooLong
from service.formats import FormatOptions, Translated
from service.formats.markdown import parse

OPTIONS = FormatOptions("en", "de")
PAGE = """---
title: Front
---
# Head *x* #

> quote line one
> line **two** `co de` \\* &amp; [l](http://a "t") ![al*t*](b) <http://x.y>
> hard  \n> break<b>html</b>

| a | b |
|---|:-:|
| one **1** | two |

- item
  lazy
* [x] `only code` 42

    code block

Setext
===

```text
fenced
```

<div>block</div>

[ref]: http://x "Title"
[a][ref], [ref] and `` a`b `` ~~old~~ __new__
"""


def translated(content: str, *translations: str) -> str:
    draft = parse(content.encode(), OPTIONS)
    return draft.render([Translated(each) for each in translations]).decode()


def test_page_comes_back_as_it_was(translate):
    assert translate(PAGE.encode(), "a.md").decode() == PAGE


def test_text_of_blocks_is_asked_for_and_nothing_else(segments):
    assert segments(PAGE.encode(), "a.md") == [
        'Head <g id="0">x</g>',
        'quote line one\nline <g id="0">two</g> <x id="1"/> <x id="2"/> <x id="3"/> '
        '<g id="4">l</g> <x id="5"/> <x id="6"/>\nhard<x id="7"/>break<x id="8"/>html<x id="9"/>',
        "a",
        "b",
        'one <g id="0">1</g>',
        "two",
        "item\nlazy",
        '[x] <x id="0"/> 42',
        "code block",
        "Setext",
        '<g id="0">a</g>, <g id="1">ref</g> and <x id="2"/> <g id="3">old</g> <g id="4">new</g>',
    ]


@pytest.mark.parametrize(
    ("content", "translation", "expected"),
    [
        (
            "See [this](/a 'b') *now*.",
            '<g id="1">Jetzt</g> <g id="0">das</g>.',
            "*Jetzt* [das](/a 'b').",
        ),
        ("Use `x` & y", "Nimm", "Nimm`x`"),
        ("> one\n> two *b*\n", "eins zwei", "> eins zwei\n"),
        ("> one\n> two\n", "eins\nzwei\ndrei", "> eins\n> zwei\n> drei\n"),
        ("# one\n", "eins\nzwei", "# eins zwei\n"),
        ("[a](<b c> (t))", '<g id="0">x', '<g id="0">x'),
    ],
)
def test_translation_is_written_as_markdown(content, translation, expected):
    assert translated(content, translation) == expected


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                *"ab *_`[]()!<>|\\&#~-\n",
                "**",
                "  \n",
                "](x)",
                "[a]: b\n",
                "\r\n",
                "    ",
                "> ",
                "1. ",
                "- ",
                "|-|\n",
                "&amp;",
                "<b>",
                "\t",
                "ä",
                "\u2028",
                "``",
                "---\n",
            ]
        )
    ).map("".join)
)
def test_any_page_comes_back_as_it_was(page):
    draft = parse(page.encode(), OPTIONS)

    assert draft.render([Translated(each.text) for each in draft.segments]).decode() == page


def test_page_beyond_all_measure_is_refused():
    with pytest.raises(TextTooLong, match="1000002 characters of Markdown exceed 1000000"):
        parse(b"- a\n" * 250_000 + b"a\n", OPTIONS)


def test_structure_of_the_page_stays_when_words_change():
    def kinds(content: str) -> list[str]:
        return [token.type for token in MarkdownIt("commonmark").enable("table").parse(content)]

    draft = parse(PAGE.encode(), OPTIONS)
    made = draft.render([Translated(each.text.replace("o", "ö")) for each in draft.segments])

    assert made.decode() != PAGE
    assert kinds(made.decode()) == kinds(PAGE)
