import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine.hypothesis import SearchOptions
from service.engine.policy import Policy
from service.engine.waiting_line import Sentence, WaitingLine

UNBOUNDED = 10**9


def sentence(length: int, width: int = 1) -> Sentence:
    return Sentence([7] * length, SearchOptions(width=width))


def waiting(*sentences: Sentence) -> WaitingLine:
    line = WaitingLine(Policy(length_ratio=1.5, length_slack=4))
    for each in sentences:
        line.add(each)
    return line


def take(line: WaitingLine, rows: int, rows_oldest: int = UNBOUNDED) -> list[int]:
    return [each.length for each in line.take(rows, rows_oldest, UNBOUNDED)]


def test_oldest_leads_those_of_like_length():
    line = waiting(*map(sentence, [20, 3, 24, 35, 18, 12]))

    # Of 12 tokens the limit is 1.5 x 12 + 4 = 22, of 18 it is 31.
    assert take(line, UNBOUNDED) == [20, 18, 24]
    assert take(line, UNBOUNDED) == [3]
    assert take(line, UNBOUNDED) == [35]
    assert take(line, UNBOUNDED) == [12]


def test_nearest_in_length_are_taken_where_not_all_find_room():
    line = waiting(*map(sentence, [20, 24, 19, 21]))

    assert sorted(take(line, 3)) == [19, 20, 21]


def test_of_one_length_the_oldest_are_taken():
    sentences = [sentence(5) for _ in range(4)]

    assert waiting(*sentences).take(3, 3, UNBOUNDED) == sentences[:3]


def test_sentences_of_another_width_are_left():
    line = waiting(sentence(5, 1), sentence(5, 4), sentence(6, 1))

    assert take(line, UNBOUNDED) == [5, 6]
    assert line.rows == 4


def test_nobody_overtakes_an_oldest_sentence_that_finds_no_room():
    line = waiting(sentence(5, 4), sentence(5, 1))

    assert take(line, 3, rows_oldest=3) == []
    assert len(line) == 2


def test_oldest_alone_may_take_more_than_the_share():
    line = waiting(sentence(5, 4), sentence(6, 4))

    assert take(line, 2, rows_oldest=4) == [5]


def test_work_is_bounded_but_for_the_oldest():
    line = waiting(*map(sentence, [10, 11, 12]))

    assert [each.length for each in line.take(9, 9, 21)] == [10, 11]
    assert [each.length for each in line.take(9, 9, 1)] == [12]


def test_sentence_that_is_not_waiting_cannot_be_removed():
    one, other = sentence(5), sentence(5)
    line = waiting(one)
    waiting(other)

    assert not line.remove(other)
    assert line.remove(one)
    assert not line.remove(one)


def test_empty_line_gives_nobody():
    assert take(waiting(), UNBOUNDED) == []


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 4)), min_size=1),
    st.integers(4, 16),
    st.data(),
)
def test_whatever_comes_and_goes_the_oldest_is_taken_and_the_sums_are_right(shapes, rows, data):
    sentences = [sentence(length, width) for length, width in shapes]
    line = waiting(*sentences)
    left = list(sentences)
    while left:
        if data.draw(st.booleans()):
            gone = [data.draw(st.sampled_from(left))]
            assert line.remove(gone[0])
        else:
            gone = line.take(rows, rows, UNBOUNDED)
            assert gone[0] is left[0]
            assert sum(each.options.width for each in gone) <= rows
        left = [each for each in left if each not in gone]

        assert len(line) == len(left)
        assert line.tokens == sum(each.length for each in left)
        assert line.rows == sum(each.options.width for each in left)
        assert line.work == sum(each.length * each.options.width for each in left)


def test_cleared_line_tells_who_waited():
    sentences = [sentence(5), sentence(3), sentence(5, 2)]
    line = waiting(*sentences)

    assert line.clear() == sentences
    assert (len(line), line.rows, line.tokens, line.work) == (0, 0, 0, 0)


def test_sentence_costs_its_tokens_times_its_rows():
    assert sentence(7, 3).work == pytest.approx(21)
