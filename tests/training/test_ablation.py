"""Ablations: what a row is, what is trained and what is left alone."""

import json
import tomllib
from pathlib import Path

import pytest

import training
from training.ablation import (
    AblationResult,
    RowResult,
    TrialResult,
    choose_trials,
    collect,
    open_ablation,
    read_ablation,
    read_result,
)
from training.run import parse_recipe
from training.trials import prepare_trials, train_trials

FILES = sorted((Path(training.__file__).parent / "recipes").glob("ablation-*.toml"))
ROWS = [(path, row) for path in FILES for row in read_ablation(path)[1]]

ABLATION = """
recipe = "toy.toml"

[budget]
steps = 4

[common.training]
validate_steps = 2

[[rows]]
name = "lstm"
reason = "a gate more"
network.cell = "lstm"

[[rows]]
name = "auto"
reason = "asks the clock"
without = ["training.precision"]
"""


@pytest.fixture
def open_toy(toy):
    """Open an ablation of the toy recipe, with its text changed where a test says so."""

    def open_changed(old="", new="", seeds=""):
        toy.recipe()
        path = toy.corpora / "ablation-toy.toml"
        path.write_text(seeds + ABLATION.replace(old, new))
        return open_ablation(path, toy.corpora, toy.runs, toy.corpora / "bundles")

    return open_changed


def train(ablation, only=(), jobs=1):
    trials = choose_trials(ablation, only)
    prepare_trials(trials)
    return list(train_trials(trials, ablation.recipe.budget, jobs, "a machine"))


@pytest.mark.parametrize(("path", "row"), ROWS, ids=lambda each: getattr(each, "name", None))
def test_row_of_a_shipped_ablation_is_a_recipe(path, row):
    recipe = parse_recipe(row.toml, f"{path.name}: {row.name}")

    assert not recipe.export.publish


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_row_of_a_shipped_ablation_is_the_base_again(path):
    _, (base, *rows) = read_ablation(path)
    base = tomllib.loads(base.toml) | {"name": ""}

    assert [row.name for row in rows if tomllib.loads(row.toml) | {"name": ""} == base] == []


def test_row_differs_from_the_base_in_what_it_names(open_toy):
    base, lstm, auto = (trial.run.recipe for trial in open_toy().trials)

    assert base.training.max_steps == 4
    assert base.training.validate_steps == 2
    assert lstm.network == base.network.model_copy(update={"cell": "lstm"})
    assert auto.training == base.training.model_copy(update={"precision": "auto"})
    assert lstm.training == base.training
    assert lstm.corpus == base.corpus


def test_timed_row_is_exported_and_timed_and_leaves_no_bundle(open_toy, toy):
    ablation = open_toy(seeds="speeds = true\n")

    [result] = train(ablation, ["lstm"])

    assert read_result(next(t for t in ablation.trials if t.row == "lstm")) == result
    assert result.speeds.trained_tokens > 0
    assert result.speeds.translated_tokens > 0
    assert 0 < result.speeds.max_logit_difference < 1e-3
    assert [*toy.runs.rglob("bundle.draft")] == []


def test_rows_are_not_timed_unless_told(open_toy):
    [result] = train(open_toy(), ["lstm"])

    assert result.speeds is None


def test_recipes_of_rows_are_written_whole(open_toy, toy):
    ablation = open_toy()

    for trial in ablation.trials:
        path = toy.runs / "ablation-toy" / "recipes" / f"{trial.row}.toml"
        assert parse_recipe(path.read_text(), "written") == trial.run.recipe


def test_every_row_is_tried_with_every_seed(open_toy):
    ablation = open_toy(seeds="seeds = [1, 5]\n")

    tried = [(trial.row, trial.seed, trial.run.recipe.training.seed) for trial in ablation.trials]
    assert tried == [(row, seed, seed) for row in ("base", "lstm", "auto") for seed in (1, 5)]
    assert len({trial.run.folder for trial in ablation.trials}) == 6


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('network.cell = "lstm"', "network.colour = 1", r"rows\.lstm: network\.colour: Extra"),
        ('network.cell = "lstm"', 'network.cell = "rnn"', r"rows\.lstm: network\.cell: "),
        ('"training.precision"', '"training.speed"', r"rows\.auto: without training\.speed"),
        ('"lstm"\nreason', '"base"\nreason', "rows: base stands there twice"),
        ('"lstm"\nreason', '"auto"\nreason', "rows: auto stands there twice"),
        ("steps = 4", "", r"budget: .*give either steps or minutes"),
        ("steps = 4", "steps = 4\nminutes = 1", r"budget: .*give either steps or minutes"),
        ('recipe = "toy.toml"', 'recipe = "none.toml"', r"none\.toml"),
        ('reason = "a gate more"', "", r"rows\.0\.reason: Field required"),
        ("[budget]", "budget", r"ablation-toy\.toml: "),
    ],
)
def test_ablation_that_cannot_be_is_refused_before_anything_is_trained(
    old, new, sentence, open_toy
):
    with pytest.raises(ValueError, match=sentence):
        open_toy(old, new)


def test_unknown_row_is_refused_by_its_name(open_toy):
    with pytest.raises(ValueError, match="ablation-toy has no row gru"):
        choose_trials(open_toy(), ["lstm", "gru"])


def test_rows_are_trained_on_the_budget_and_scored_on_dev(open_toy):
    ablation = open_toy()

    results = train(ablation)

    assert [result.row for result in results] == ["base", "lstm", "auto"]
    for result, trial in zip(results, ablation.trials, strict=True):
        metrics = (trial.run.folder / "metrics.jsonl").read_text().splitlines()
        assert result.steps == 4
        assert result.dev_bleu == pytest.approx(
            max(json.loads(line)["dev_bleu"] for line in metrics), abs=0.005
        )
        assert result.tokens_per_second > 0
        assert result.machine == "a machine"
    assert results[1].parameters > results[0].parameters


def test_what_is_done_is_not_trained_again(open_toy):
    train(open_toy(), ["lstm"])

    assert [trial.row for trial in choose_trials(open_toy(), [])] == ["base", "auto"]


def test_row_that_has_changed_is_trained_anew(open_toy):
    train(open_toy(), ["lstm"])
    changed = open_toy('network.cell = "lstm"', "network.decoder_size = 14")

    assert [trial.row for trial in choose_trials(changed, ["lstm"])] == ["lstm"]
    [result] = train(changed, ["lstm"])
    assert result.steps == 4
    assert read_result(changed.trials[1]) == result


def test_text_is_prepared_once_for_rows_that_agree_on_it(open_toy):
    ablation = open_toy('network.cell = "lstm"', "tokenizer.size = 310")

    prepare_trials(ablation.trials)

    base, smaller, auto = (trial.run.prepared / "tokenizer.model" for trial in ablation.trials)
    assert base.samefile(auto)
    assert not base.samefile(smaller)


def test_row_that_chooses_between_means_of_checkpoints_has_a_speed(open_toy):
    (row,) = train(open_toy('network.cell = "lstm"', "training.average_best = 2"), ["lstm"])

    assert row.tokens_per_second > 0
    assert row.dev_bleu is not None


def test_training_that_fails_is_a_result_and_the_others_go_on(open_toy):
    # half precision's largest number is far below such a rate
    ablation = open_toy('network.cell = "lstm"', "training.learning_rate = 1e38")

    base, wild, auto = train(ablation)

    assert wild.dev_bleu is None
    assert "training.learning_rate 1e+38 may be too high" in wild.failure
    assert base.dev_bleu is not None
    assert auto.dev_bleu is not None


def test_trial_ends_when_its_minutes_are_over(open_toy):
    ablation = open_toy("steps = 4", "minutes = 1e-9")

    [result] = train(ablation, ["base"])

    assert result.steps == 2  # the recipe says 6; time is looked at after each validation


def test_table_holds_what_was_trained_so_far(open_toy):
    ablation = open_toy()
    train(ablation, ["base"])

    found = collect(ablation)

    assert [row.name for row in found.rows] == ["base"]
    assert found.dev == "toy dev"
    assert found.budget == "4 steps"
    assert found.base == found.rows[0].trials[0].dev_bleu


def test_base_is_the_mean_of_its_seeds():
    trials = [
        TrialResult(row="base", seed=seed, recipe_sha256="", dev_bleu=bleu)
        for seed, bleu in ((1, 30.0), (2, 31.0), (3, None))
    ]
    base = RowResult(name="base", changes="", reason="", trials=tuple(trials))

    found = AblationResult(name="x", recipe="y", budget="1 steps", dev="z", rows=(base,))

    assert found.base == 30.5
    assert found.model_copy(update={"rows": ()}).base is None


@pytest.mark.slow
def test_rows_trained_together_equal_rows_trained_alone(open_toy, toy):
    together = {result.row: result.dev_bleu for result in train(open_toy(), jobs=2)}
    for trial in open_toy().trials:
        (trial.run.folder / "result.json").unlink()
        (trial.run.folder / "metrics.jsonl").unlink()

    assert {result.row: result.dev_bleu for result in train(open_toy())} == together
