"""What is held out, and that it is not in training."""

import numpy as np
import pytest

from tests.training.phrases import phrases
from training.corpus import fingerprint
from training.findings import Line
from training.split import DEV, TEST, TRAIN, find_families, split, write_parts


def lines_of(pairs, faulty=()):
    return [
        Line(
            number,
            pair,
            pair,
            (fingerprint(pair[0]), fingerprint(pair[1])),
            "too long" if number in faulty else None,
        )
        for number, pair in enumerate(pairs, 1)
    ]


def with_families(count):
    """Return pairs of which every third shares its target with the next, loosely written."""
    pairs = []
    for number, (source, target) in enumerate(phrases(count)):
        pairs.append((source, target))
        if number % 3 == 0:
            pairs.append((f"{source} Ja.", target.upper()))
    return pairs


def test_pairs_that_share_a_side_over_others_are_one_family():
    sides = np.array([[1, 11], [2, 12], [1, 13], [3, 13], [4, 14], [5, 12]])

    assert find_families(sides).tolist() == [0, 1, 0, 0, 2, 1]


def test_no_side_is_nothing_in_common():
    sides = np.array([[0, 11], [0, 12], [1, 0], [2, 0]])

    assert find_families(sides).tolist() == [0, 1, 2, 3]


def test_no_side_of_what_is_held_out_is_in_training():
    lines = lines_of(with_families(600))
    parts = split(lines).part

    for order in (0, 1):
        known = {line.prints[order] for line, part in zip(lines, parts, strict=True) if part == 0}
        held = {line.prints[order] for line, part in zip(lines, parts, strict=True) if part != 0}
        dev = {line.prints[order] for line, part in zip(lines, parts, strict=True) if part == DEV}
        test = held - dev
        assert known.isdisjoint(held)
        assert dev.isdisjoint(test)


def test_a_tenth_is_held_out_for_dev_and_for_test():
    parts = split(lines_of(with_families(600)))

    total = len(parts.part)
    assert parts.count(DEV) == pytest.approx(total / 10, abs=4)
    assert parts.count(TEST) == pytest.approx(total / 10, abs=4)
    assert parts.count(TRAIN) == total - parts.count(DEV) - parts.count(TEST)
    assert (parts.families, parts.largest) == (600, 2)


def test_large_text_holds_out_a_thousand():
    parts = split(lines_of([(f"s{i}", f"t{i}") for i in range(20_000)]))

    assert (parts.count(DEV), parts.count(TEST)) == (1000, 1000)


def test_same_lines_give_the_same_split():
    lines = lines_of(phrases(300))

    assert (split(lines).part == split(lines).part).all()


def test_large_family_is_learnt_from():
    pairs = phrases(300) + [("Ja.", target) for _, target in phrases(20, seed=2)]
    parts = split(lines_of(pairs))

    assert (parts.part[300:] == TRAIN).all()


def test_unusable_pairs_are_not_held_out():
    faulty = set(range(1, 150))
    parts = split(lines_of(phrases(400), faulty))

    assert (parts.part[:149] == TRAIN).all()


def test_text_that_is_one_family_is_refused_with_figures():
    with pytest.raises(ValueError, match="0 of 200 pairs are in sentence families of at most 4"):
        split(lines_of([("Ja.", target) for _, target in phrases(200)]))


def test_parts_are_written_line_by_line(tmp_path):
    lines = lines_of(phrases(200))
    parts = split(lines)

    write_parts(lines, parts, tmp_path / "corpus", ("de", "en"))

    for part, name in enumerate(("train", "dev", "test")):
        sides = [
            (tmp_path / f"corpus/{name}.{side}").read_text().splitlines() for side in ("de", "en")
        ]
        assert list(zip(*sides, strict=True)) == [
            line.pair for line, of in zip(lines, parts.part, strict=True) if of == part
        ]
