import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.segmenter import segment

SPACES = " \n\r\t\u00a0\u202f\u3000\x1c\x85\u2028\ufeff"
ANYTHING = st.text() | st.text(SPACES + "ab.!?,;:)\u0301\ud800é漢。😀1")


def always(sentence: str) -> bool:
    return True


def at_most(length: int):
    return lambda sentence: len(sentence) <= length


@given(ANYTHING, st.sampled_from(["de", "en", "zh", "xx"]))
def test_sentences_joined_again_are_the_text(text, language):
    found = segment(text, language, always)

    assert found.join(found.sentences) == text


@given(ANYTHING, st.integers(1, 6))
def test_split_sentences_joined_again_are_the_text(text, length):
    found = segment(text, "de", at_most(length))

    assert found.join(found.sentences) == text


@given(ANYTHING, st.integers(1, 6))
def test_every_sentence_fits_and_has_something_to_translate(text, length):
    found = segment(text, "de", at_most(length))

    assert all(len(sentence) <= length for sentence in found.sentences)
    assert all(any(map(str.isalnum, sentence)) for sentence in found.sentences)
    assert [sentence.strip() for sentence in found.sentences] == list(found.sentences)


@given(ANYTHING)
def test_letters_and_digits_are_in_sentences_only(text):
    found = segment(text, "en", at_most(5))

    assert not any(map(str.isalnum, "".join(found.between)))


def test_white_space_stands_between():
    found = segment("  Guten Tag!\r\n\r\n Wie geht's?\u00a0Gut. ", "de", always)

    assert found.sentences == ("Guten Tag!", "Wie geht's?", "Gut.")
    assert found.between == ("  ", "\r\n\r\n ", "\u00a0", " ")


def test_whole_lines_are_sentences_when_asked_for():
    found = segment(" Eins. Zwei.\nDrei. ", "de", always, split="lines")

    assert found.sentences == ("Eins. Zwei.", "Drei.")
    assert found.between == (" ", "\n", " ")


def test_whole_line_that_does_not_fit_is_split():
    found = segment("Eins, zwei. Drei.", "de", at_most(11), split="lines")

    assert found.join(found.sentences) == "Eins, zwei. Drei."
    assert max(map(len, found.sentences)) <= 11


def test_line_without_words_stands_between():
    found = segment("Eins.\n* * *\n→ ???\nZwei.", "de", always)

    assert found.sentences == ("Eins.", "Zwei.")
    assert found.between == ("", "\n* * *\n→ ???\n", "")


def test_abbreviation_does_not_end_a_sentence():
    found = segment("Das kostet z.B. zwei Euro. Gut.", "de", always)

    assert found.sentences == ("Das kostet z.B. zwei Euro.", "Gut.")


@pytest.mark.parametrize("text", ["", " \n\t ", "***", "\u00ad"])
def test_text_without_words_has_no_sentences(text):
    found = segment(text, "de", always)

    assert found.sentences == ()
    assert found.between == (text,)


def test_long_sentence_is_split_at_the_clause_nearest_to_its_middle():
    found = segment("eins zwei, drei vier; fünf sechs, sieben", "de", at_most(22))

    assert found.sentences == ("eins zwei, drei vier;", "fünf sechs, sieben")
    assert found.between == ("", " ", "")


def test_long_clause_is_split_between_words():
    found = segment("eins zwei drei vier", "de", at_most(10))

    assert found.sentences == ("eins zwei", "drei vier")


def test_long_word_is_split_anywhere_but_before_a_combining_mark():
    found = segment("abc\u0301def", "de", at_most(5))

    assert found.sentences == ("ab", "c\u0301def")


@pytest.mark.parametrize("space", "\u00a0\u202f\u2009\u3000")
def test_wide_space_behind_an_initial_is_like_any_other(space):
    text = f"Herr X{space}. Er kommt."

    found = segment(text, "de", lambda _: True)

    assert found.join(found.sentences) == text
