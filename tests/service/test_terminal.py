import io
import os
import sys

import pytest
from rich.console import Console

from service.terminal import (
    MAX_LINE_BYTES,
    Arrivals,
    Lines,
    UnreadableLine,
    one_line,
    progress,
    read_file,
    read_lines,
    table,
)


def lines_of(content):
    return list(read_lines(io.BytesIO(content), "input"))


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a\nb\n", ["a", "b"]),
        (b"a\n\n\nb", ["a", "", "", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b" a \t\n", [" a \t"]),
        ("a\u2028b\x0bc\rd\n".encode(), ["a\u2028b\x0bc\rd"]),
        ("Grüße\nΩmega 日本\n".encode(), ["Grüße", "Ωmega 日本"]),
    ],
)
def test_lines_end_at_line_feeds_only(content, lines):
    assert lines_of(content) == lines


def test_line_that_is_not_utf8_is_named_with_its_number_and_byte():
    with pytest.raises(UnreadableLine, match=r"input, line 2: not UTF-8 \(byte 3 is 0xfc\)"):
        lines_of(b"fine\nGr\xfc\xdfe\n")


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_longest_line_is_read_whole(end):
    assert lines_of(b"x" * MAX_LINE_BYTES + end) == ["x" * MAX_LINE_BYTES]


def test_longer_line_is_refused_without_being_read_to_its_end():
    stream = io.BytesIO(b"x" * 3 * MAX_LINE_BYTES)

    with pytest.raises(UnreadableLine, match="input, line 1: longer than 1048576 bytes"):
        next(read_lines(stream, "input"))

    assert stream.tell() < 2 * MAX_LINE_BYTES


@pytest.fixture
def pipe():
    """Both ends of a pipe."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as output, os.fdopen(writer, "wb", buffering=0) as entry:
        yield entry, Arrivals(output)


def test_line_has_arrived_once_its_end_has(pipe):
    entry, arrivals = pipe

    before = arrivals.would_block()
    entry.write(b"half of")
    halfway = arrivals.would_block()
    entry.write(b" a line\nand")
    after = arrivals.would_block()

    assert (before, halfway, after) == (True, True, False)
    assert arrivals.readline(100) == b"half of a line\n"
    assert arrivals.would_block()


def test_end_of_a_pipe_has_arrived(pipe):
    entry, arrivals = pipe
    entry.write(b"last")
    entry.close()

    assert not arrivals.would_block()
    assert [arrivals.readline(100), arrivals.readline(100)] == [b"last", b""]
    assert not arrivals.would_block()


def test_lines_arrive_as_they_stand_in_a_file(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"".join(b"%d" % i * 50 + b"\n" for i in range(5000)) + b"end")

    with file.open("rb") as stream:
        arrived = list(read_lines(Arrivals(stream), "file"))

    assert arrived == read_file(file) == file.read_text().split("\n")


def test_arrivals_hand_out_no_more_than_asked_for():
    arrivals = Arrivals(io.BytesIO(b"abcdef\ng"))

    assert [arrivals.readline(4) for _ in range(4)] == [b"abcd", b"ef\n", b"g", b""]


def test_lines_end_before_an_unreadable_one_and_remember_it():
    lines = Lines(read_lines(io.BytesIO(b"a\nb\n\xff\nc\n"), "input"))

    assert list(lines) == ["a", "b"]
    assert str(lines.failure) == "input, line 3: not UTF-8 (byte 1 is 0xff)"


def test_lines_without_fault_have_no_failure():
    lines = Lines(["a"])

    assert list(lines) == ["a"]
    assert lines.failure is None


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r", "\v", "\f", "\x85", "\u2028", "\u2029"])
def test_every_line_break_becomes_one_space(line_break):
    assert one_line(f"a{line_break}b{line_break}") == "a b"


def test_progress_is_silent_where_there_is_no_terminal(capsys):
    with progress(2) as on_progress:
        on_progress(1)
        on_progress(2)

    assert capsys.readouterr() == ("", "")


def test_progress_leaves_stdout_alone_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    stdout = sys.stdout

    with progress(2) as on_progress:
        on_progress(1)
        assert sys.stdout is stdout
        sys.stdout.write("a result\n")

    captured = capsys.readouterr()
    assert captured.out == "a result\n"
    assert "1/2" in captured.err


def test_table_never_cuts_a_cell_short():
    made = table("title", "name", "signature")
    made.add_row("BLEU", "0123456789" * 10)
    stream = io.StringIO()

    Console(file=stream, width=40).print(made)

    assert "".join(stream.getvalue().split()).count("0123456789") == 10
    assert "…" not in stream.getvalue()
