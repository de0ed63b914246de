"""What was measured of memory becomes a table, a picture and a page."""

from training.laboratory.memory import Held, MemoryBudget
from training.laboratory.study import (
    PAGE,
    PICTURES,
    SaidRow,
    Study,
    draw_study,
    fill_page,
    read_study,
    row_of,
    tabulate_study,
)

PNG = b"\x89PNG\r\n\x1a\n"


def row(task, label, *held):
    return row_of(task, label, 1.0, MemoryBudget(), "a machine", held)


HELD = Held(10, 0.99, True, 50, 1.0)
LOST = Held(20, 0.31, False, 600, 9.0)
ROWS = [row("delay", "gru", HELD, LOST), row("adding", "lstm", Held(10, 0.003, True, 90, 2.0))]


def test_table_tells_the_longest_delay_and_what_came_next():
    assert tabulate_study(ROWS).rows == [
        ("gru", "10", "31% at 20", "not measured", ""),
        ("lstm", "not measured", "", "10, the longest tried", ""),
    ]


def test_row_measured_again_takes_the_place_of_the_old_one():
    again = row("delay", "gru", HELD)

    study = Study(rows=tuple(ROWS)).with_row(again)

    assert study.rows == (ROWS[1], again)


def test_study_is_kept_and_read_again(tmp_path):
    study = Study(rows=tuple(ROWS))

    study.write(tmp_path / "memory.json")

    assert read_study(tmp_path / "memory.json") == study
    assert read_study(tmp_path / "none.json") == Study()


def test_picture_is_drawn(tmp_path):
    draw_study(tmp_path / "memory.png", ROWS)

    assert (tmp_path / "memory.png").read_bytes().startswith(PNG)


def test_page_says_so_where_nothing_was_measured():
    places = "<!-- memory -->\nold\n<!-- end -->\n<!-- said -->\nold\n<!-- end -->\n"

    page = fill_page(places, Study())

    assert page.count("Not measured.") == 2
    assert "old" not in page


def test_words_are_held_up_to_the_first_length_that_is_not():
    row = SaidRow(label="gru", steps=9, size=8, right_by_length={1: 1.0, 2: 0.95, 3: 0.9, 4: 0.99})

    assert row.longest == 2
    assert Study().with_said(row).with_said(row).said == (row,)


def test_page_is_that_of_what_was_measured():
    text = PAGE.read_text(encoding="utf-8")

    assert fill_page(text, read_study()) == text
    assert (PICTURES / "memory.png").exists()
