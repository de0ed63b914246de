import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidDocument
from service.formats import FormatOptions, Translated
from service.formats.tables import parse

OPTIONS = FormatOptions("en", "de")
TABLE = b'id,title,note\n1," Red, green ",x\n2,Blue,"He said ""no"""\n3,,\n'


def test_all_cells_with_letters_but_the_header_are_translated(translate):
    assert translate(TABLE, "a.csv", str.upper) == (
        b'id,title,note\n1," RED, GREEN ",X\n2,BLUE,"HE SAID ""NO"""\n3,,\n'
    )


@pytest.mark.parametrize("columns", [("title",), ("2",)])
def test_columns_are_chosen_by_name_or_number(segments, columns):
    assert segments(TABLE, "a.csv", columns=columns) == ["Red, green", "Blue"]


@pytest.mark.parametrize("column", ["4", "0", "missing"])
def test_missing_column_is_refused(column):
    with pytest.raises(InvalidDocument, match=f"no column '{column}', but 3 columns"):
        parse(TABLE, FormatOptions("en", "de", columns=(column,)))


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8)


@given(
    st.integers(2, 4).flatmap(lambda n: st.lists(st.tuples(*[CELLS] * n), min_size=2, max_size=5)),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_cells_of_any_table_come_back(rows, delimiter, line_end, quoting):
    written = io.StringIO(newline="")
    csv.writer(written, delimiter=delimiter, lineterminator=line_end, quoting=quoting).writerows(
        rows
    )
    content = written.getvalue().encode()
    draft = parse(content, OPTIONS)

    made = draft.render([Translated(each.text) for each in draft.segments]).decode()

    assert "".join(made.split()) == "".join(content.decode().split()) or (
        list(csv.reader(io.StringIO(made, newline=""), delimiter=delimiter))
        == list(csv.reader(io.StringIO(content.decode(), newline=""), delimiter=delimiter))
    )


@pytest.mark.parametrize(
    "content",
    [
        b'"a";"b"\r\n"one";"two"',
        b"a\tb\none\ttwo\n",
        b"one column\nof text\n",
        b"",
        "größe,b\nä,b\n".encode("utf-16"),
    ],
)
def test_spelling_of_a_table_is_kept(translate, content):
    assert translate(content, "a.csv") == content


def test_cell_beyond_all_measure_is_refused():
    with pytest.raises(InvalidDocument, match="no table from line"):
        parse(b"a,b\n" + b"x" * 200_000, OPTIONS)
