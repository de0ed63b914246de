"""Answers of the tasks, found in another way than they are drawn."""

import numpy as np
import pytest

from training.laboratory.tasks import TASKS, length_of


def reckon(source):
    first, second = (int(part.strip("_")) for part in source.split("+"))
    return str(first + second)[::-1]


def count(source):
    bits = source.strip("_")
    return "".join(str(bits[: i + 1].count("1") % 2) for i in range(len(bits)))


ANSWERS = {
    "copy": lambda source: source,
    "reverse": lambda source: "".join(reversed(source)),
    "sort": lambda source: "".join(letter * source.count(letter) for letter in "abcdefgh"),
    "addition": reckon,
    "parity": count,
}


@pytest.mark.parametrize("name", TASKS)
def test_answers_are_right_and_no_longer_than_asked_for(name):
    random = np.random.default_rng(1)
    drawn = [TASKS[name].draw(random, 5) for _ in range(300)]

    assert [ANSWERS[name](source) for source, _ in drawn] == [target for _, target in drawn]
    assert {length_of(source) for source, _ in drawn} == {1, 2, 3, 4, 5}


def test_every_task_has_an_answer_here():
    assert ANSWERS.keys() == TASKS.keys()
