from hypothesis import given
from hypothesis import strategies as st

from service.engine.rewriting import Rewriting

EDITS = st.lists(st.tuples(st.integers(0, 3), st.none() | st.text("xyz", max_size=3)))


def rewrite(original: str, edits: list[tuple[int, str | None]]) -> Rewriting:
    rewriting = Rewriting(original)
    for length, text in edits:
        end = min(rewriting.passed + length, len(original))
        if text is None:
            rewriting.copy(end)
        else:
            rewriting.replace(end, text)
    rewriting.copy(len(original))
    return rewriting


def test_spans_lead_to_and_fro():
    entity = rewrite("a &lt; b", [(2, None), (4, "<")])

    assert entity.text == "a < b"
    assert entity.origin(2, 3) == (2, 6)
    assert entity.origin(0, 5) == (0, 8)
    assert entity.span(3, 5) == (2, 3)
    assert entity.span(6, 8) == (3, 5)


@given(st.text("abc", max_size=12), EDITS)
def test_copied_characters_are_traced_one_by_one(original, edits):
    rewriting = rewrite(original, edits)

    for place, character in enumerate(rewriting.text):
        begin, end = rewriting.origin(place, place + 1)
        assert character in "xyz" or original[begin:end] == character
        assert character in "xyz" or rewriting.span(begin, end) == (place, place + 1)


@given(st.text("abc", max_size=12), EDITS, st.data())
def test_spans_of_the_text_are_spans_of_the_original(original, edits, data):
    rewriting = rewrite(original, edits)
    size = len(rewriting.text)
    begin = data.draw(st.integers(0, size))
    end = data.draw(st.integers(begin, size))

    left, right = rewriting.origin(begin, end)

    assert 0 <= left <= right <= len(original)
