"""Whether shifted lines are found, and only they."""

import random

import pytest

from tests.training.phrases import phrases
from training.alignment import BLOCK, MIN_BLOCK, Alignment, is_telling, overall, standings

PAIRS = phrases(3 * BLOCK)


def judge(pairs):
    alignment = Alignment()
    for pair in pairs:
        alignment.add(pair)
    return alignment.finish()


def shift(pairs, offset):
    """Let source i belong to target i + offset."""
    targets = [target for _, target in pairs]
    targets = targets[-offset:] + targets[:-offset]
    return [(source, target) for (source, _), target in zip(pairs, targets, strict=True)]


def test_own_line_stands_out_where_the_sides_belong_together():
    blocks = judge(PAIRS)

    assert [(block.first, block.last) for block in blocks] == [
        (1, BLOCK),
        (BLOCK + 1, 2 * BLOCK),
        (2 * BLOCK + 1, 3 * BLOCK),
    ]
    assert all(block.is_aligned for block in blocks)
    assert is_telling(blocks)


@pytest.mark.parametrize("offset", [1, -1, 7, -40])
def test_shift_is_found_with_its_size(offset):
    blocks = judge(shift(PAIRS, offset))

    assert {block.shift for block in blocks} == {offset}
    assert all(block.is_shifted and not block.is_aligned for block in blocks)


def test_text_that_is_sorted_by_length_is_not_taken_for_aligned_when_it_is_shifted():
    ordered = sorted(PAIRS, key=lambda pair: len(pair[0]))

    assert all(block.is_aligned for block in judge(ordered))
    assert {block.shift for block in judge(shift(ordered, 3))} == {3}


def test_sides_that_have_nothing_to_do_with_each_other_do_not_stand_out():
    targets = [target for _, target in PAIRS]
    random.Random(1).shuffle(targets)
    blocks = judge((source, target) for (source, _), target in zip(PAIRS, targets, strict=True))

    assert not any(block.is_aligned for block in blocks)
    assert overall(blocks) < 6


def test_only_the_block_is_shifted_in_which_a_line_is_missing():
    sources = [source for source, _ in PAIRS]
    targets = [target for _, target in PAIRS]
    del targets[BLOCK]
    blocks = judge(zip(sources, targets, strict=False))

    assert [block.shift for block in blocks] == [0, -1, -1]


def test_few_pairs_are_not_judged():
    assert judge(PAIRS[: MIN_BLOCK - 1]) == []


def test_empty_sides_are_passed_over():
    pairs = [("", "x"), *PAIRS[: BLOCK - 1]]

    (block,) = judge(pairs)

    assert (block.first, block.last, block.shift) == (1, BLOCK, 0)


def test_sentences_that_are_all_alike_tell_nothing():
    assert not standings([("eins zwei", "one two")] * 100).any()
