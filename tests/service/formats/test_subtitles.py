import pytest
import srt
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidDocument
from service.formats import FormatOptions, Translated
from service.formats.subtitles import parse

OPTIONS = FormatOptions("en", "de")
CUES = b"""1
00:00:01,000 --> 00:00:02,500 X1:40 X2:600
{\\an8}<i>Where are you</i>
going?

2
0:0:3,0 --> 0:0:4,2
Home.



3
00:00:05.000  -->  00:00:06.000
42
"""


def test_only_the_text_of_cues_is_translated(translate):
    expected = CUES.replace(b"<i>Where are you</i>\ngoing?", b"<I>WHERE ARE YOU</I>\nGOING?")

    assert translate(CUES, "a.srt", str.upper) == expected.replace(b"Home", b"HOME")


def test_cue_is_one_segment_and_its_tags_are_markup():
    [first, second] = parse(CUES, OPTIONS).segments

    assert (first.text, first.markup, first.split) == (
        "<i>Where are you</i>\ngoing?",
        "html",
        "nonewlines",
    )
    assert (second.text, second.markup) == ("Home.", None)


@pytest.mark.parametrize("piece", [" ", "\n", "1\n", "0", "00:00:01,000 --> 00:00:02,500\n"])
def test_file_is_read_in_one_pass(piece):
    content = CUES + (piece * 100_000).encode()

    assert len(parse(content, OPTIONS).segments) == 2


def test_translation_stays_in_its_cue(translate):
    made = translate(CUES, "a.srt", lambda text: "a \n\n2\n b")

    assert [cue.content.rstrip() for cue in srt.parse(made.decode())][1] == "a \n2\n b"


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_line_ends_are_kept(translate, line_end):
    content = CUES.decode().replace("\n", line_end).encode()

    assert translate(content, "a.srt") == content


@given(
    st.lists(
        st.tuples(
            st.integers(0, 10**7), st.integers(0, 10**6), st.text(st.sampled_from("ab <{}\\-,.\n"))
        )
    )
)
def test_what_another_program_writes_comes_back_as_it_was(cues):
    cues = [
        srt.Subtitle(i, srt.timedelta(milliseconds=start), srt.timedelta(milliseconds=end), text)
        for i, (start, end, text) in enumerate(cues, 1)
    ]
    content = srt.compose(cues, reindex=False).encode()
    draft = parse(content, OPTIONS)

    assert draft.render([Translated(each.text) for each in draft.segments]) == content


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"Nonsense\n", 1),
        (b"Nonsense\n\n1\n00:00:01,000 --> 00:00:02,500\nYes.\n", 1),
        (CUES + b"4\n00:00:01,000 -->\nNo.\n", 16),
    ],
)
def test_what_is_no_cue_is_refused_by_its_line(content, line):
    with pytest.raises(InvalidDocument, match=f"^line {line}: there should be"):
        parse(content, OPTIONS)
