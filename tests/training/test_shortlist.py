"""Shortlists counted from text: Model 1 against the published example, rows against a count."""

import numpy as np
import pytest

from models.tokenizer import BOS, EOS
from training.prepare import Examples, Ragged
from training.shortlist import align, build

DAS, HAUS, BUCH, EIN, THE, HOUSE, BOOK, A = range(8, 16)
V = 16
PAIRS = [([DAS, HAUS], [THE, HOUSE]), ([DAS, BUCH], [THE, BOOK]), ([EIN, BUCH], [A, BOOK])]


def examples_of(pairs):
    return Examples(*(Ragged.join(side) for side in zip(*pairs, strict=True)))


@pytest.mark.parametrize(
    ("iterations", "expected"),
    [
        (1, {(DAS, THE): 0.5, (DAS, BOOK): 0.25, (HAUS, HOUSE): 0.5, (BUCH, BOOK): 0.5}),
        (2, {(DAS, THE): 0.6364, (DAS, BOOK): 0.1818, (HAUS, HOUSE): 0.5714, (EIN, A): 0.5714}),
        (3, {(DAS, THE): 0.7479, (DAS, BOOK): 0.1208, (DAS, HOUSE): 0.1313, (EIN, A): 0.6534}),
    ],
)
def test_probabilities_are_those_of_the_textbook(iterations, expected):
    """Koehn 2010, "Statistical Machine Translation", figure 4.4."""
    translations = align(examples_of(PAIRS), V, iterations)

    found = dict(
        zip(
            zip(translations.source_W.tolist(), translations.target_W.tolist(), strict=True),
            translations.probability_W.tolist(),
            strict=True,
        )
    )
    assert {pair: found[pair] for pair in expected} == pytest.approx(expected, abs=5e-5)
    assert (DAS, A) not in found


TAG, OTHER_TAG = 4, 5
TAGGED = [([TAG, *source, EOS], [BOS, *target, EOS]) for source, target in PAIRS]
TAGGED += [([OTHER_TAG, *target, EOS], [BOS, *source, EOS]) for source, target in PAIRS]


def row(shortlists, token):
    return set(shortlists.choose([token]).tolist())


def test_row_holds_the_likeliest_translations_and_the_token_itself():
    shortlists = build(examples_of(TAGGED * 20), V, [TAG, OTHER_TAG], likeliest=1, frequent=1)

    assert row(shortlists, HAUS) == {HAUS, HOUSE}
    assert row(shortlists, BOOK) == {BOOK, BUCH}


def test_every_sentence_can_end_and_none_can_begin_anew():
    shortlists = build(examples_of(TAGGED), V, [TAG, OTHER_TAG], likeliest=8, frequent=8)

    assert EOS in row(shortlists, EOS)
    assert all(BOS not in row(shortlists, token) for token in range(V) if token != BOS)


def test_token_that_was_never_seen_can_be_copied():
    shortlists = build(examples_of(TAGGED), V, [TAG, OTHER_TAG], likeliest=8, frequent=8)

    assert row(shortlists, 7) == {7}


def test_row_of_a_tag_holds_what_is_frequent_in_its_language():
    pairs = [*TAGGED, ([TAG, DAS, EOS], [BOS, THE, THE, THE, EOS])]

    shortlists = build(examples_of(pairs), V, [TAG, OTHER_TAG], likeliest=0, frequent=2)

    # THE five times, EOS four times, BOOK twice; on the other side EOS thrice, DAS and BUCH twice.
    assert row(shortlists, TAG) == {TAG, THE, EOS}
    assert row(shortlists, OTHER_TAG) == {OTHER_TAG, EOS, DAS}


def test_what_is_always_allowed_stands_in_the_rows_of_all_markers():
    shortlists = build(examples_of(TAGGED), V, [TAG, OTHER_TAG], 0, frequent=1, always=[6, 7])

    assert {6, 7} <= row(shortlists, TAG) & row(shortlists, OTHER_TAG)
    assert row(shortlists, HAUS) == {HAUS}


def test_only_every_so_manyth_sentence_is_linked_of_a_large_text(monkeypatch):
    monkeypatch.setattr("training.shortlist.MAX_LINKS", 32)

    translations = align(examples_of(TAGGED[:4]), V)

    assert set(translations.source_W.tolist()) == {TAG, DAS, HAUS, EIN, BUCH, EOS}


def test_probabilities_of_each_source_token_add_up_to_one():
    translations = align(examples_of(TAGGED), V)

    sums_V = np.bincount(translations.source_W, translations.probability_W)
    assert sums_V[sums_V > 0] == pytest.approx(1)
