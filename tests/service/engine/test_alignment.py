"""Alignments of sentences whose attention is written down, so that what must come is known."""

import numpy as np
import pytest

from service.engine.alignment import TokenizedSentence, align, words

SOURCE = TokenizedSentence("Das Haus brennt.", [(0, 3), (4, 6), (6, 8), (9, 15), (15, 16)])
TARGET = TokenizedSentence("The house burns.", [(0, 3), (4, 9), (10, 13), (13, 15), (15, 16)])
# Rows: The, house, bur, ns, ., EOS; columns: tag, Das, Ha, us, brennt, ., EOS.
ATTENTION = [
    [0.2, 0.7, 0.1, 0.0, 0.0, 0.0, 0.0],
    [0.0, 0.1, 0.3, 0.5, 0.1, 0.0, 0.0],
    [0.0, 0.0, 0.1, 0.0, 0.8, 0.1, 0.0],
    [0.0, 0.0, 0.0, 0.1, 0.9, 0.0, 0.0],
    [0.0, 0.0, 0.0, 0.0, 0.1, 0.9, 0.0],
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
]


def aligned(attention, source=SOURCE, target=TARGET, num_tags=1):
    found = align(np.array(attention, np.float32), source, target, num_tags)
    return [
        (source.text[each.source_begin : each.source_end], target.text[each[2] : each[3]])
        for each in found
    ]


def test_pieces_of_a_word_are_aligned_as_one():
    assert aligned(ATTENTION) == [
        ("Das", "The"),
        ("Haus", "house"),
        ("brennt", "burns"),
        (".", "."),
    ]


def test_sentence_that_was_cut_off_has_no_row_for_its_end():
    cut = TokenizedSentence("The house", TARGET.spans[:2])

    assert aligned(ATTENTION[:2], target=cut) == [("Das", "The"), ("Haus", "house")]


def test_bundle_without_tags_has_no_column_for_one():
    attention = [row[1:] for row in ATTENTION]

    assert aligned(attention, num_tags=0) == aligned(ATTENTION)


@pytest.mark.parametrize("column", [0, 6])
def test_word_that_looked_at_the_tag_or_the_end_only_is_aligned_with_none(column):
    attention = np.array(ATTENTION)
    attention[0] = np.eye(7)[column]

    assert "The" not in [target for _, target in aligned(attention)]


def test_word_made_of_two_is_aligned_with_both():
    attention = np.array(ATTENTION)
    attention[2:4] = [0, 0, 0.2, 0.2, 0.6, 0, 0]

    assert [pair for pair in aligned(attention) if pair[1] == "burns"] == [
        ("Haus", "burns"),
        ("brennt", "burns"),
    ]


def test_token_of_case_counts_for_the_word_behind_it():
    source = TokenizedSentence("am See", [(0, 2), (3, 3), (3, 6)])
    target = TokenizedSentence("Lake", [(0, 0), (0, 4)])
    attention = [[0.1, 0.9, 0.0, 0.0], [0.4, 0.6, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]

    assert aligned(attention, source, target, num_tags=0) == [("See", "Lake")]


def test_empty_translation_is_aligned_with_nothing():
    assert aligned([[0] * 6 + [1]], target=TokenizedSentence("", [])) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("l'homme, e-mail!", ["l'homme", ",", "e-mail", "!"]),
        ("“Ja” - 3.5 %", ["“", "Ja", "”", "-", "3", ".", "5", "%"]),
        ("漢字 ABCかな", ["漢", "字", "ABC", "か", "な"]),
        ("", []),
    ],
)
def test_words_are_runs_of_letters_and_single_signs(text, expected):
    assert [text[begin:end] for begin, end in words(text)] == expected
