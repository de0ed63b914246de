"""An epoch reads as much of a text as its weight says, and some pairs joined."""

import pytest

from training.mixing import MAX_JOINED, mix

PAIRS = 60
SOURCES = [f"s{i} a" for i in range(PAIRS)]
TARGETS = [f"t{i} b c" for i in range(PAIRS)]


def draw(toy, *, weight=1.0, joined=0.0, max_words=20, seed=1):
    corpus = toy.open(corpus__joined=joined).recipe.corpus
    cleaning = corpus.cleaning.model_copy(update={"max_words": max_words})
    corpus = corpus.model_copy(update={"cleaning": cleaning})
    sources, targets = mix((SOURCES, TARGETS), weight, corpus, [seed])
    return list(zip(sources, targets, strict=True))


def members(side, mark):
    """Return the numbers of the pairs that an example was made of."""
    return [int(word[1:]) for word in side.split() if word[0] == mark]


def test_weight_of_one_reads_all_in_order(toy):
    assert draw(toy) == list(zip(SOURCES, TARGETS, strict=True))


@pytest.mark.parametrize(("weight", "count"), [(0.5, 30), (0.25, 15), (2, 120), (1.5, 90)])
def test_weight_is_how_often_a_text_is_read(weight, count, toy):
    pairs = draw(toy, weight=weight)

    assert len(pairs) == count
    times = [pairs.count(pair) for pair in set(pairs)]
    assert max(times) - min(times) <= 1


def test_part_of_a_text_is_drawn_anew_by_the_seed(toy):
    first, again, other = (draw(toy, weight=0.5, seed=seed) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_joined_examples_are_whole_pairs_in_one_order_on_both_sides(toy):
    examples = draw(toy, joined=0.5)
    groups = [members(source, "s") for source, _ in examples]

    assert groups == [members(target, "t") for _, target in examples]
    assert sorted(i for group in groups for i in group) == list(range(PAIRS))
    assert {len(group) for group in groups} == {1, 2, MAX_JOINED}
    alone = [group for group in groups if len(group) == 1]
    assert len(alone) in {30, 31}  # half, and perhaps the last of the others


def test_joined_example_keeps_to_the_longest_side_allowed(toy):
    examples = draw(toy, joined=1.0, max_words=6)

    assert max(len(target.split()) for _, target in examples) == 6


def test_pair_longer_than_allowed_stays_alone(toy):
    examples = draw(toy, joined=1.0, max_words=2)

    assert sorted(examples) == sorted(zip(SOURCES, TARGETS, strict=True))
