from hypothesis import given
from hypothesis import strategies as st

from service.evaluations.word_differences import MAX_WORDS, mark_differences, split_words

TEXTS = st.text(st.sampled_from("ab ,.'é́好ह\u0928\u094d\u200d👩💻\n"), max_size=30)


def marked(text: str, other: str) -> list[str]:
    return [part.text for part in mark_differences(text, other) if part.is_marked]


@given(TEXTS, TEXTS)
def test_parts_together_are_the_text(text, other):
    assert "".join(part.text for part in mark_differences(text, other)) == text


@given(TEXTS)
def test_words_together_are_the_text(text):
    assert "".join(split_words(text)) == text


@given(TEXTS)
def test_nothing_differs_from_itself(text):
    assert marked(text, text) == []


@given(TEXTS, TEXTS)
def test_what_is_not_marked_stands_in_the_other_too(text, other):
    kept = "".join(part.text for part in mark_differences(text, other) if not part.is_marked)

    letters = iter("".join(other.split()))
    assert all(letter in letters for letter in "".join(kept.split()))


def test_words_that_differ_are_marked_with_the_spaces_between_them():
    assert marked("The big black dog runs.", "The cat runs.") == ["big black dog"]
    assert marked("The cat runs.", "The big black dog runs.") == ["cat"]


def test_word_is_marked_without_the_punctuation_beside_it():
    assert marked("Stop, now!", "Stop, then!") == ["now"]


def test_apostrophe_within_a_word_belongs_to_it():
    assert marked("I'm not here.", "That's not here.") == ["I'm"]
    assert split_words("'No,' l\u2019amie said") == (
        ["'", "No", ",", "'", " ", "l\u2019amie", " ", "said"]
    )


def test_added_word_is_marked_alone():
    assert marked("He came back", "He came") == ["back"]


def test_space_makes_no_difference():
    assert marked("a  b\u00a0c", "a b c") == []


def test_characters_are_words_where_nothing_separates_words():
    assert marked("你好吗", "你坏吗") == ["好"]
    assert split_words("สวัสดี") == ["ส", "วั", "ส", "ดี"]


def test_what_is_written_onto_a_letter_stays_with_it():
    assert split_words("नमस्ते दुनिया") == ["नमस्ते", " ", "दुनिया"]
    assert split_words("👩\u200d💻 ok") == ["👩\u200d💻", " ", "ok"]


def test_very_long_sentences_are_not_compared():
    text = "a b " * MAX_WORDS

    assert marked(text, "c") == []
