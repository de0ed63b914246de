"""No question is in two parts, however much is drawn."""

from collections import Counter

import numpy as np

from training.laboratory.tasks import TASKS
from training.laboratory.texts import PARTS, draw_part, part_of, read_pairs_of, write_pairs


def draw_short(random):
    return TASKS["parity"].draw(random, 6)


def test_no_source_is_in_two_parts_whatever_the_seed():
    found = {
        part: {source for seed in (1, 2) for source, _ in draw_part(draw_short, part, 60, seed)}
        for part in PARTS
    }

    assert all(found.values())
    assert not found["train"] & found["dev"]
    assert not found["train"] & found["test"]
    assert not found["dev"] & found["test"]


def test_a_tenth_is_for_dev_and_a_tenth_for_test():
    random = np.random.default_rng(1)
    counts = Counter(part_of(TASKS["copy"].draw(random, 12)[0]) for _ in range(5000))

    assert 400 < counts["dev"] < 600
    assert 400 < counts["test"] < 600


def test_drawing_ends_when_a_task_has_no_more_sources():
    pairs = draw_part(draw_short, "train", 1000, 1)

    assert len(pairs) < 2**7  # of all bits up to six
    assert len(dict(pairs)) == len(pairs)


def test_written_pairs_are_read_again(tmp_path):
    pairs = [("_12+_3", "15"), ("a=_1\u21b5print(a)", "1")]

    write_pairs(tmp_path / "folder" / "pairs.tsv", pairs)

    assert read_pairs_of(tmp_path / "folder" / "pairs.tsv") == pairs
