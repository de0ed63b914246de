"""Wishes of the command line that cannot be granted are refused by a sentence."""

import pytest

from training.laboratory.wishes import wishes_of


@pytest.mark.parametrize(
    ("task", "cells", "given", "sentence"),
    [
        ("juggle", None, {}, "task juggle is none of copy, reverse"),
        ("copy", ["abacus"], {}, "cell abacus is none of gru, lstm"),
        ("copy", ["gru", "lstm"], {}, "copy learns with one cell at a time"),
        ("copy", None, {"lengths": (3, 4)}, "copy has one length"),
        ("copy", None, {"nesting": 2}, "--nesting and --curriculum are for execute"),
        ("execute", None, {"curriculum": "hard"}, "curriculum hard is none of baseline, naive"),
    ],
)
def test_wrong_wish_is_refused_by_its_value(task, cells, given, sentence):
    with pytest.raises(ValueError, match=sentence):
        wishes_of(task, cells, 1.0, **given).check()


def test_wrong_key_of_the_network_is_refused_by_its_name():
    wishes = wishes_of("delay", ["lstm"], 1.0, network=("colour = 1",))

    with pytest.raises(ValueError, match=r"network\.colour: Extra inputs"):
        wishes.subjects()


def test_key_that_is_no_toml_is_refused():
    with pytest.raises(ValueError, match="--network a="):
        wishes_of("copy", None, 1.0, network=("a=",)).network_keys()


def test_layer_is_called_by_what_is_odd_about_it():
    wishes = wishes_of("delay", ["gru", "lstm"], 0.0, network=("weight_drop=0.1",))

    subjects = wishes.subjects()

    assert [each.label for each in subjects] == [
        "gru, weight_drop 0.1, not clipped",
        "lstm, weight_drop 0.1, not clipped",
    ]
    assert [each.clip_norm for each in subjects] == [None, None]


def test_what_is_not_wished_is_what_suits_the_task():
    usual, smaller = (wishes_of("copy", None, 1.0, **given) for given in ({}, {"size": 8}))

    assert smaller.budget().size == 8
    assert smaller.budget().steps == usual.budget().steps


def test_rows_of_other_tasks_are_not_kept():
    with pytest.raises(ValueError, match="--save is for delay, adding and reverse"):
        wishes_of("copy", None, 1.0).check(save=True)
