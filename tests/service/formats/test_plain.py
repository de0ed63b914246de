import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidDocument
from service.formats import FormatOptions, Translated
from service.formats.plain import parse

OPTIONS = FormatOptions("en", "de")
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(TEXTS)
def test_any_text_comes_back_as_it_was(text):
    draft = parse(text.encode(), OPTIONS)

    assert draft.render([Translated(each.text) for each in draft.segments]).decode() == text


@given(TEXTS, st.sampled_from(["utf-8-sig", "utf-16", "utf-32"]))
def test_marked_text_comes_back_with_its_mark(text, encoding):
    content = text.encode(encoding)
    draft = parse(content, OPTIONS)

    assert draft.render([Translated(each.text) for each in draft.segments]) == content


def test_big_endian_text_stays_big_endian(translate):
    content = codecs.BOM_UTF16_BE + "Größe".encode("utf-16-be")

    assert translate(content, "a.txt", str.upper) == (
        codecs.BOM_UTF16_BE + "GRÖSSE".encode("utf-16-be")
    )


def test_lines_are_translated_and_their_ends_kept(translate):
    content = b"  one\r\ntwo \n\n\tthree\rfour"

    assert translate(content, "a.txt", str.upper) == b"  ONE\r\nTWO \n\n\tTHREE\rFOUR"


def test_translation_stays_in_its_line(translate):
    assert translate(b"one\ntwo", "a.txt", lambda text: f"{text}\r\n!") == b"one  !\ntwo  !"


def test_lines_without_letters_are_not_asked_for(segments):
    assert segments("— 42 —\n\nyes\n***\n".encode(), "a.txt") == ["yes"]


def test_declared_encoding_is_read_and_written(translate):
    content = "Straße".encode("latin-1")

    assert translate(content, "a.txt", lambda text: f"{text}ä", encoding="latin-1") == (
        "Straßeä".encode("latin-1")
    )


def test_characters_that_the_encoding_lacks_make_it_utf8(translate):
    assert translate(b"one", "a.txt", lambda text: "один", encoding="latin-1") == "один".encode()


@pytest.mark.parametrize(
    ("content", "encoding", "message"),
    [
        (b"good \xe4", None, "the file is not utf-8 from byte 5 on"),
        (b"a\0b", None, "the file is not text: it holds the character NUL"),
        (b"a", "nonsense", "the encoding 'nonsense' is not known"),
        (b"a", "zip", "the encoding 'zip' is not known"),
        (b"a", "punycode", "the encoding 'punycode' is not known"),
        (b"a", "a\0b", "the encoding 'a\\x00b' is not known"),
        (codecs.BOM_UTF16_LE + b"a", None, "the file is not utf-16-le from byte 2 on"),
    ],
)
def test_what_is_no_text_is_refused(content, encoding, message):
    with pytest.raises(InvalidDocument) as refusal:
        parse(content, FormatOptions("en", "de", encoding))

    assert str(refusal.value) == message
