import io
import zipfile
from contextlib import suppress

import docx
import pytest
from docx.enum.text import WD_BREAK
from docx.oxml import parse_xml
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import InvalidDocument, TooLarge
from service.formats import FormatOptions, Translated
from service.formats.docx import parse

OPTIONS = FormatOptions("en", "de")
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def saved(document) -> bytes:
    content = io.BytesIO()
    document.save(content)
    return content.getvalue()


def opened(content: bytes):
    return docx.Document(io.BytesIO(content))


@pytest.fixture
def document():
    return docx.Document()


def with_paragraph(document, inner: str) -> bytes:
    document.element.body.insert(0, parse_xml(f"<w:p {W}>{inner}</w:p>"))
    return saved(document)


def texts(content: bytes) -> list[tuple[str, str | None]]:
    return [(each.text, each.markup) for each in parse(content, OPTIONS).segments]


def runs(paragraph) -> list[tuple[str, bool]]:
    return [(run.text, bool(run.bold)) for run in paragraph.runs if run.text]


def test_text_is_translated_wherever_it_stands(document, translate):
    document.add_heading("Title", 1)
    document.add_paragraph("Body.")
    document.add_table(1, 2).rows[0].cells[1].text = "Cell."
    document.sections[0].header.paragraphs[0].text = "Header."
    document.sections[0].footer.paragraphs[0].text = "Footer."

    made = opened(translate(saved(document), "a.docx", str.upper))

    assert [each.text for each in made.paragraphs[:2]] == ["TITLE", "BODY."]
    assert made.paragraphs[0].style.name == "Heading 1"
    assert made.tables[0].rows[0].cells[1].text == "CELL."
    assert made.sections[0].header.paragraphs[0].text == "HEADER."
    assert made.sections[0].footer.paragraphs[0].text == "FOOTER."


def test_runs_that_look_alike_are_one_text(document):
    inner = """<w:r w:rsidR="1"><w:t>Good mor</w:t></w:r><w:proofErr w:type="spellStart"/>
        <w:r w:rsidR="2"><w:rPr><w:lang w:val="en-GB"/></w:rPr><w:t>ning</w:t></w:r>"""

    assert texts(with_paragraph(document, inner)) == [("Good morning", None)]


def test_formatting_travels_with_its_words(document):
    paragraph = document.add_paragraph("This is ")
    paragraph.add_run("very").bold = True
    paragraph.add_run(" good work.")
    draft = parse(saved(document), OPTIONS)

    made = opened(draft.render([Translated('<g id="0">Sehr</g> gut ist das.')]))

    assert [each.text for each in draft.segments] == ['This is <g id="0">very</g> good work.']
    assert runs(made.paragraphs[0]) == [("Sehr", True), (" gut ist das.", False)]


def test_objects_move_with_their_tags_and_are_never_lost(document):
    inner = """<w:r><w:t>One</w:t></w:r><w:r><w:footnoteReference w:id="5"/></w:r>
        <w:r><w:t xml:space="preserve"> two</w:t></w:r>
        <w:del><w:r><w:delText>x</w:delText></w:r></w:del>"""
    draft = parse(with_paragraph(document, inner), OPTIONS)
    assert [each.text for each in draft.segments] == ['One<x id="0"/> two<x id="1"/>']

    moved = opened(draft.render([Translated('Zwei <x id="1"/>eins<x id="0"/>')])).element.body[0]
    order = [each.tag.rpartition("}")[2] for each in moved.iter() if len(each) == 0]

    assert order == ["t", "delText", "t", "footnoteReference"]
    lost = opened(parse(with_paragraph(document, inner), OPTIONS).render([Translated("Weg")] * 2))
    assert len(list(lost.element.iter("{*}footnoteReference"))) == 2


def test_link_stays_around_its_words(document):
    inner = """<w:r><w:t xml:space="preserve">See </w:t></w:r>
        <w:hyperlink w:anchor="there"><w:r><w:rPr><w:b/></w:rPr><w:t>this page</w:t></w:r>
        </w:hyperlink><w:r><w:t>.</w:t></w:r>"""
    draft = parse(with_paragraph(document, inner), OPTIONS)

    made = opened(draft.render([Translated('<g id="0">Diese Seite</g> siehe.')])).paragraphs[0]

    assert [each.text for each in draft.segments] == ['See <g id="0">this page</g>.']
    assert [link.text for link in made.hyperlinks] == ["Diese Seite"]
    assert made.hyperlinks[0].fragment == "there"
    assert made.hyperlinks[0].runs[0].bold
    assert made.text == "Diese Seite siehe."


def test_line_ends_at_breaks_and_tabs(document):
    paragraph = document.add_paragraph("1\tOne")
    paragraph.add_run().add_break(WD_BREAK.LINE)
    paragraph.add_run("two").bold = True
    draft = parse(saved(document), OPTIONS)

    made = opened(draft.render([Translated(each.text.upper()) for each in draft.segments]))

    assert [each.text for each in draft.segments] == ["One", "two"]
    assert made.paragraphs[0].text == "1\tONE\nTWO"


def test_field_is_one_object(document):
    inner = """<w:r><w:t>Page</w:t></w:r><w:r><w:fldChar w:fldCharType="begin"/></w:r>
        <w:r><w:instrText>PAGE</w:instrText></w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r>
        <w:r><w:t>seven</w:t></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>"""

    assert texts(with_paragraph(document, inner)) == [('Page<x id="0"/>', "xml")]


def test_content_control_keeps_its_settings(document, translate):
    inner = """<w:sdt><w:sdtPr><w:tag w:val="t"/></w:sdtPr><w:sdtContent><w:r><w:t>Name</w:t></w:r>
        </w:sdtContent></w:sdt><w:bookmarkStart w:id="1" w:name="b"/><w:bookmarkEnd w:id="1"/>"""

    made = opened(translate(with_paragraph(document, inner), "a.docx"))

    assert [each.text for each in made.element.iter("{*}t")] == ["Name"]
    assert len(list(made.element.iter("{*}tag"))) == 1
    assert len(list(made.element.iter("{*}bookmarkEnd"))) == 1


def test_parts_without_text_stay_as_they_are(document, translate):
    document.add_paragraph("Body.")
    content = saved(document)

    before, after = (
        zipfile.ZipFile(io.BytesIO(c)) for c in (content, translate(content, "a.docx"))
    )

    assert before.namelist() == after.namelist()
    changed = [name for name in before.namelist() if before.read(name) != after.read(name)]
    assert set(changed) <= {"word/document.xml", "word/styles.xml"}
    assert b'w:val="de"' in after.read("word/styles.xml")


RUNS = st.lists(st.tuples(st.text(st.sampled_from("ab <&>\t\n")), st.booleans()), max_size=5)


@settings(deadline=None)  # the first one reads a template
@given(st.lists(RUNS, max_size=3))
def test_what_word_shows_comes_back(paragraphs):
    document = docx.Document()
    for each in paragraphs:
        paragraph = document.add_paragraph()
        for text, bold in each:
            paragraph.add_run(text).bold = bold
    content = saved(document)
    draft = parse(content, OPTIONS)

    made = opened(draft.render([Translated(each.text) for each in draft.segments]))

    def letters(document) -> list[list[tuple[str, bool]]]:
        return [
            [(letter, bold) for text, bold in runs(paragraph) for letter in text]
            for paragraph in document.paragraphs
        ]

    assert letters(made) == letters(opened(content))


def archive(parts: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as written:
        for name, part in parts.items():
            written.writestr(name, part)
    return content.getvalue()


def types(kind: str) -> bytes:
    return (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        f'<Override PartName="/word/document.xml" ContentType="application/{kind}"/></Types>'
    ).encode()


MAIN = "vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
TYPES = {"[Content_Types].xml": types(MAIN)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no archive", "no archive, or damaged"),
        (b"\xd0\xcf\x11\xe0" + bytes(600), "encrypted, or of an old binary format"),
        (archive({"a": b"b"}), "it has no list of parts"),
        (archive({"[Content_Types].xml": types("vnd.ms-excel")}), "it has no text part"),
        (archive(TYPES | {"word/vbaProject.bin": b"x"}), "files with macros"),
        (
            archive({"[Content_Types].xml": types("vnd.ms-word.document.macroEnabled.main+xml")}),
            "files with macros",
        ),
        (archive(TYPES | {"word/document.xml": b"<a>"}), "not well-formed"),
        (
            archive(TYPES | {"word/document.xml": b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'}),
            "declares entities",
        ),
    ],
)
def test_what_is_no_document_is_refused(content, message):
    with pytest.raises(InvalidDocument, match=message):
        parse(content, OPTIONS)


def test_damaged_part_is_refused(document):
    content = bytearray(saved(document))
    content[200:240] = bytes(40)

    with pytest.raises(InvalidDocument, match="damaged"):
        parse(bytes(content), OPTIONS)


@given(st.data())
@settings(max_examples=300)
def test_no_byte_that_is_changed_is_met_with_anything_but_a_refusal(data):
    content = bytearray(archive(TYPES | {"word/document.xml": b"<a/>"}))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))

    with suppress(InvalidDocument, TooLarge):
        parse(bytes(content), OPTIONS)


def test_directory_that_lies_outside_of_the_file_is_refused():
    content = archive(TYPES | {"word/document.xml": b"<a/>"})
    place = content.rindex(b"PK\x05\x06") + 16  # where the directory begins, four bytes

    moved = content[:place] + (2**31).to_bytes(4, "little") + content[place + 4 :]

    with pytest.raises(InvalidDocument, match="damaged"):
        parse(moved, OPTIONS)


def test_archive_that_unpacks_to_too_much_is_refused():
    bomb = archive(TYPES | {"word/document.xml": bytes(101_000_000)})

    assert len(bomb) < 200_000
    with pytest.raises(TooLarge, match="unpacked bytes exceed 100000000"):
        parse(bomb, OPTIONS)


def test_archive_of_too_many_parts_is_refused():
    with pytest.raises(TooLarge, match="5001 parts exceed 5000"):
        parse(archive({f"{i}": b"" for i in range(5001)}), OPTIONS)
