"""Experiments are told apart, and their recipes are what they say."""

from dataclasses import replace

import pytest

from training.laboratory.experiment import HELD_OUT, Budget, Experiment, open_experiment
from training.laboratory.texts import read_pairs_of

ONE = Experiment("reverse", "gru", 4, Budget(pairs=50, steps=9, size=8), {})
OTHERS = [
    replace(ONE, task="copy"),
    replace(ONE, cell="lstm"),
    replace(ONE, length=5),
    replace(ONE, network={"attention": "none", "attention_heads": 1}),
    replace(ONE, network={"attention": "none", "attention_heads": 1, "summary": "state"}),
    replace(ONE, variant="other"),
    *(
        replace(ONE, budget=replace(ONE.budget, **{key: 10}))
        for key in ("pairs", "steps", "size", "layers", "seed")
    ),
]


@pytest.mark.parametrize("other", OTHERS, ids=lambda each: each.name)
def test_experiment_that_differs_has_a_run_of_its_own(other):
    assert other.name != ONE.name


def test_names_are_all_different():
    assert len({each.name for each in OTHERS}) == len(OTHERS)


def test_recipe_is_that_of_the_experiment(tmp_path):
    run = open_experiment(replace(ONE, network={"attention_heads": 4}), tmp_path)

    network = run.recipe.network
    assert (network.cell, network.decoder_size, network.attention_heads) == ("gru", 8, 4)
    assert run.recipe.training.max_steps == 9
    assert not run.recipe.export.publish
    assert (run.folder / "recipe.toml").read_text(encoding="utf-8") == run.toml


def test_text_is_the_same_when_it_is_opened_again(tmp_path):
    files = [
        {
            p.name: p.read_bytes()
            for p in (open_experiment(ONE, tmp_path).folder / "texts").iterdir()
        }
        for _ in range(2)
    ]

    assert files[0] == files[1]
    assert set(files[0]) == {"train.tsv", "dev.tsv", "test.tsv"}


def test_training_text_has_as_many_pairs_as_the_budget(tmp_path):
    texts = open_experiment(ONE, tmp_path).folder / "texts"

    assert len(read_pairs_of(texts / "train.tsv")) == 50
    assert len(read_pairs_of(texts / "test.tsv")) <= HELD_OUT
