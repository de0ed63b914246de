"""Files are cut into pieces which, put together, are the file again, wherever its blocks end."""

import random
import re
from collections.abc import Iterator
from itertools import chain, pairwise

import pytest

from service.batches import lines, units
from service.batches.layout import Cutter, Layout, Piece
from service.batches.lines import LineCutter, RowCutter
from service.batches.units import UnitCutter
from service.errors import InvalidDocument, InvalidRequest, TextTooLong
from service.formats import Translated

LINES, TABLE, MEMORY = (Layout(format, "de", "en") for format in ("lines", "tsv", "tmx"))
TMX = """<?xml version="1.0"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4"><header srclang="de"/>
<body>
{}
</body>
</tmx>
<!-- end -->
"""
UNIT = '<tu><tuv xml:lang="de"><seg>{}</seg></tuv></tu>'


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(lines, "PIECE_CHARACTERS", 20)
    monkeypatch.setattr(units, "PIECE_BYTES", 150)


def blocks(text: str, sizes: random.Random) -> Iterator[str]:
    while text:
        size = sizes.randint(1, 30)
        yield text[:size]
        text = text[size:]


def cut(cutter: Cutter, text: str, seed: int = 0) -> list[Piece]:
    pieces = [piece for block in blocks(text, random.Random(seed)) for piece in cutter.feed(block)]
    return [*pieces, *cutter.close()]


@pytest.mark.parametrize("seed", range(20))
def test_pieces_of_lines_are_the_file_and_end_with_lines(seed):
    draw = random.Random(seed)
    text = "".join(draw.choices("ab\n\r\u2028 ", k=200))

    pieces = cut(LineCutter(LINES, 200), text, seed)

    assert "".join(piece.text for piece in pieces) == text
    assert len(pieces) > 5
    # Universal newlines, as Python's own files have them.
    for piece in pieces:
        assert piece.size == len(re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z", piece.text))
    assert all(piece.text[-1] in "\r\n" for piece in pieces[:-1])
    assert not any(
        before.text.endswith("\r") and after.text.startswith("\n")
        for before, after in pairwise(pieces)
    )


def test_line_number_is_that_of_the_line_at_fault():
    cutter = LineCutter(LINES, 5)

    with pytest.raises(TextTooLong, match="line 4: more than 5 characters") as caught:
        cut(cutter, "12345\r\n\r\n12345\n123456\n")
    assert caught.value.limit == 5


def test_line_without_an_end_is_refused_before_it_ends():
    cutter = LineCutter(LINES, 5)

    with pytest.raises(TextTooLong, match="line 1"):
        list(cutter.feed("123456"))


def test_header_names_the_column_and_gets_one_more():
    cutter = RowCutter(TABLE, 50, "text")

    pieces = cut(cutter, "id\ttext\tnote\r\n1\ta\tb\r\n")

    assert cutter.layout.column == 1
    assert pieces == [Piece("id\ttext\tnote\ten\r\n", 0), Piece("1\ta\tb\r\n", 1)]


@pytest.mark.parametrize(
    ("column", "text", "message"),
    [
        ("text", "id\tde\n", "line 1: 2 columns, of which none is 'text'"),
        ("text", "", "the table is empty, and has no header"),
        ("2", "1\ta\n\n2\n", "line 3: 1 columns, of which none is '2'"),
    ],
)
def test_missing_column_is_named(column, text, message):
    with pytest.raises(InvalidDocument, match=message):
        cut(RowCutter(TABLE, 50, column), text)


def test_columns_are_counted_from_1():
    with pytest.raises(InvalidRequest, match="0 is none"):
        RowCutter(TABLE, 50, "0")


@pytest.mark.parametrize(("layout", "row"), [(LINES, b"a b  c d"), (TABLE, b"x\ta b  c d")])
def test_translation_ends_neither_line_nor_cell(layout, row):
    draft = layout.read("x")

    written = draft.render([Translated("a\rb\r\nc\nd")])

    assert written == row


def test_translation_with_a_tab_does_not_end_its_cell():
    assert TABLE.read("x\n").render([Translated("a\tb")]) == b"x\ta b\n"


@pytest.mark.parametrize("seed", range(20))
def test_pieces_of_units_are_the_file_and_begin_with_units(seed):
    inner = "\n<!-- <tu> -->\n".join(UNIT.format("ä" * i) for i in range(20))
    text = TMX.format(inner)

    pieces = cut(UnitCutter(MEMORY), text, seed)

    assert "".join(piece.text for piece in pieces) == text
    translated = [piece for piece in pieces if piece.size]
    assert len(translated) > 5
    assert sum(piece.size for piece in translated) == 20
    for piece in translated:
        assert piece.text.startswith("<tu>")
        assert piece.text.count("</tu>") == piece.size
    assert pieces[0].text == text[: text.index("<tu>")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the XML is not well-formed: no element found"),
        (TMX.format("\n<tu></tuv>"), "line 6: the XML is not well-formed: mismatched tag"),
        (TMX.format("<tu>")[:100], "line 4: the XML is not well-formed"),
        ("<html/>", "line 1: the file is no TMX"),
        ("<tmx/>", "the TMX has no body"),
        ("<tmx><body/><body/></tmx>", "there is a second body"),
        ("<tmx>\n<tu/><body/></tmx>", "line 2: a unit is not in the body"),
        (TMX.format("<tu><tu/></tu>"), "a unit is not in the body"),
        (f"<tmx><body>{'<a>' * 100}", "nested deeper than 64"),
        ("<!DOCTYPE tmx [<!ENTITY a 'b'>]><tmx/>", "entities of its own"),
        ("<!DOCTYPE tmx SYSTEM 'x'><tmx><body>&a;</body></tmx>", "entities of its own"),
    ],
)
def test_what_is_no_memory_is_refused_with_its_line(text, message):
    with pytest.raises(InvalidDocument, match=message):
        cut(UnitCutter(MEMORY), text)


@pytest.mark.parametrize(
    "begin",
    ["<tmx><body><tu><seg>", "<tmx><header>", "<tmx><body/><!--", "<!--", '<tmx a="'],
)
def test_what_would_fill_the_memory_is_refused(monkeypatch, begin):
    monkeypatch.setattr(units, "MAX_UNIT_BYTES", 1000)
    cutter = UnitCutter(MEMORY)

    with pytest.raises(TextTooLong, match="line 1: more than 1000 bytes"):
        list(chain.from_iterable(cutter.feed(text) for text in (begin, *["a" * 100] * 30)))


def test_root_is_kept_without_what_would_hide_its_elements():
    cutter = UnitCutter(MEMORY)
    list(cutter.feed('<tmx xmlns="urn:a" xmlns:b="urn:b" b:c="&lt;&quot;"><body/></tmx>'))

    assert cutter.layout.root == '<tmx xmlns:b="urn:b" b:c=\'&lt;"\'>'
