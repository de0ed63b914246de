"""Bilingual files: translation memories and XLIFF, and what no XML may hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from service.errors import InvalidDocument
from service.formats import FormatOptions, Translated, find_format
from service.formats.tmx import parse

OPTIONS = FormatOptions("en", "de")
MEMORY = b"""<?xml version="1.0" encoding="UTF-8" standalone='yes'?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<!-- a <memory> -->
<tmx version="1.4">
  <header creationtool='x' srclang="en-US" datatype="plaintext"/>
  <body>
    <tu tuid="1">
      <tuv xml:lang="en-US">
        <seg>Good <bpt i="1">&lt;b></bpt>morning<ept i="1">&lt;/b></ept> &amp; bye<ph/></seg>
      </tuv>
    </tu>
    <tu>
      <tuv xml:lang="en"><seg>Yes</seg></tuv>
      <tuv xml:lang="de"><seg>Ja</seg></tuv>
    </tu>
    <tu><tuv xml:lang="fr"><seg>Oui</seg></tuv><tuv lang="EN"><seg><hi>No</hi></seg></tuv></tu>
    <tu><tuv xml:lang="en"><seg>42</seg></tuv></tu>
  </body>
</tmx>
"""
UNITS = b"""<?xml version="1.0"?>
<xliff xmlns="urn:oasis:names:tc:xliff:document:1.2" version="1.2">
  <file source-language="en" target-language="fr" datatype="plaintext" original="a">
    <body>
      <trans-unit id="1"><source>Save <g id="7">the file</g><x id="8"/></source></trans-unit>
      <trans-unit id="2"><source>Yes</source><target>Oui</target></trans-unit>
      <trans-unit id="3"><source>No</source><target/></trans-unit>
      <trans-unit id="4" translate="no"><source>Dragoman</source></trans-unit>
    </body>
  </file>
</xliff>
"""
NEW_UNITS = b"""<xliff version="2.0" srcLang="en" xmlns="urn:oasis:names:tc:xliff:document:2.0">
 <file id="f"><unit id="1"><segment><source>One <pc id="1">two</pc></source></segment></unit></file>
</xliff>"""


def segments_of(content: bytes, name: str) -> list[tuple[str, str | None]]:
    draft = find_format(name, content).parse(content, OPTIONS)
    return [(each.text, each.markup) for each in draft.segments]


def test_units_without_the_target_language_get_a_variant(translate):
    variant = b"""<tuv xml:lang="en-US">
        <seg>Good <bpt i="1">&lt;b&gt;</bpt>morning<ept i="1">&lt;/b&gt;</ept> &amp; bye<ph/></seg>
      </tuv>"""
    expected = MEMORY.replace(b"&lt;b>", b"&lt;b&gt;").replace(b"&lt;/b>", b"&lt;/b&gt;")
    expected = (
        expected.replace(b"creationtool='x'", b'creationtool="x"')
        .replace(variant, variant + b"\n      " + variant.replace(b'"en-US"', b'"de"'))
        .replace(
            b'<tuv lang="EN"><seg><hi>No</hi></seg></tuv>',
            b'<tuv lang="EN"><seg><hi>No</hi></seg></tuv>'
            b'<tuv xml:lang="de"><seg><hi>No</hi></seg></tuv>',
        )
    )

    assert translate(MEMORY, "a.tmx").decode() == expected.decode()


def test_codes_are_opaque_tags_and_text_elements_are_open_ones():
    assert segments_of(MEMORY, "a.tmx") == [
        ('Good <x id="0"/>morning<x id="1"/> &amp; bye<x id="2"/>', "xml"),
        ('<g id="0">No</g>', "xml"),
    ]


def test_source_is_that_of_the_header_if_none_is_named():
    assert parse(MEMORY, FormatOptions("auto", "de")).source == "en-US"


def test_header_without_a_source_language_is_refused():
    content = MEMORY.replace(b"en-US", b"*all*", 1)

    with pytest.raises(InvalidDocument, match="names no source language"):
        parse(content, FormatOptions("auto", "de"))


@pytest.mark.parametrize(
    ("translation", "expected"),
    [
        ("Tag", '<seg>Tag<bpt i="1">&lt;b&gt;</bpt><ept i="1">&lt;/b&gt;</ept><ph/></seg>'),
        (
            '<x id="1"/>a<x id="0"/>b<x id="0"/><x id="9"/><y/>',
            '<seg><ept i="1">&lt;/b&gt;</ept>a<bpt i="1">&lt;b&gt;</bpt>b<ph/></seg>',
        ),
        (
            "<b>broken & \x01",
            '<seg>&lt;b&gt;broken &amp; <bpt i="1">&lt;b&gt;</bpt>'
            '<ept i="1">&lt;/b&gt;</ept><ph/></seg>',
        ),
    ],
)
def test_codes_survive_whatever_becomes_of_their_tags(translate, translation, expected):
    made = translate(MEMORY, "a.tmx", lambda text: translation)

    assert expected in made.decode()


def test_units_without_a_translation_get_one_to_be_reviewed(translate):
    expected = (
        UNITS.replace(b'target-language="fr"', b'target-language="de"')
        .replace(
            b'<x id="8"/></source>',
            b'<x id="8"/></source><target state="needs-review-translation">Save '
            b'<g id="7">the file</g><x id="8"/></target>',
        )
        .replace(b"<target/>", b'<target state="needs-review-translation">No</target>')
    )

    assert translate(UNITS, "a.xlf") == expected


def test_units_of_version_2_are_translated(translate):
    made = etree.fromstring(translate(NEW_UNITS, "a.xliff"))

    assert made.get("trgLang") == "de"
    [target] = made.iter("{*}target")
    assert "".join(target.itertext()) == "One two"
    assert [etree.QName(child).localname for child in target] == ["pc"]


def test_file_in_another_language_is_refused():
    with pytest.raises(InvalidDocument, match="the file is in 'en', not in 'fr'"):
        find_format("a.xlf", UNITS).parse(UNITS, FormatOptions("fr", "de"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_encoding_and_line_ends_are_kept(translate, encoding, line_end):
    text = MEMORY.decode().replace("UTF-8", encoding).replace("Yes", "Größe")
    content = text.replace("\n", line_end).encode(encoding)

    made = (
        translate(content, "a.tmx", lambda text: "—ä")
        if encoding == "iso-8859-1"
        else (translate(content, "a.tmx"))
    )

    assert "Größe" in made.decode(encoding)
    assert made.decode(encoding).count("\n") == made.decode(encoding).count(line_end)
    assert etree.fromstring(made).tag == "tmx"


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"])))
def test_any_text_goes_in_and_out(text):
    root = etree.fromstring(MEMORY)
    seg = next(root.iter("seg"))
    seg.text = text
    content = etree.tostring(root, encoding="UTF-8")
    draft = parse(content, OPTIONS)

    made = etree.fromstring(draft.render([Translated(each.text) for each in draft.segments]))

    before, after = list(made.iter("seg"))[:2]
    assert etree.tostring(before, with_tail=False) == etree.tostring(after, with_tail=False)


BOMB = b"""<!DOCTYPE tmx [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><tmx><tu><tuv><seg>&c;</seg></tuv></tu></tmx>"""
PEEK = b'<!DOCTYPE tmx [<!ENTITY a SYSTEM "file:///etc/passwd">]><tmx>&a;</tmx>'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BOMB, "declares entities"),
        (PEEK, "declares entities"),
        (b"<tmx>", "not well-formed in line 1"),
        (b"", "not well-formed"),
        (b"<other/>", "is no TMX"),
        (b"<a>" * 1000, "not well-formed"),
    ],
)
def test_what_xml_must_not_hold_is_refused(content, message):
    with pytest.raises(InvalidDocument, match=message):
        parse(content, OPTIONS)
