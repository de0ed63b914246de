"""Results are those of the bundles, and nothing is told of what was not measured."""

import shutil

import pytest
import torch
from rich.console import Console

from models.bundle import Bundle, Training
from training.export import export
from training.network import Network
from training.prepare import Prepared, prepare
from training.results import (
    Result,
    add_kept,
    collect_result,
    load_result,
    read_recipe,
    result_file,
)
from training.run import open_run
from training.tables import tabulate_results
from training.trained import trained_of_run

CHANGES = {
    "export__variants": ["fp32"],
    "export__beams": [1, 2],
    "export__parity_sentences": 4,
    "export__sweep_sentences": 4,
    "export__publish": False,
}
CONSOLE = Console(quiet=True)


def publish(toy, path, seed):
    run = open_run(path, toy.corpora, toy.runs, toy.corpora / "bundles", seed)
    prepare(run)
    torch.manual_seed(seed)
    network = Network(run.recipe.network, Prepared(run).tokenizer.size)
    took = Training(minutes=10.0 * seed, machine="2 cores", steps=6, epochs=1.0)
    return export(run, trained_of_run(run, network.eval(), took), run.destination, CONSOLE)


def collect_result_of(toy, path, seed):
    """Publish a seed, and forget its bundle."""
    bundle = publish(toy, path, seed)
    result = collect_result(read_recipe(path), toy.runs, toy.corpora / "bundles")
    shutil.rmtree(bundle.path)
    return result


def test_result_holds_the_scores_of_every_seed_with_the_search_that_was_chosen(toy):
    path = toy.recipe(**CHANGES)
    bundles = [publish(toy, path, seed) for seed in (3, 1, 2)]

    result = collect_result(read_recipe(path), toy.runs, toy.corpora / "bundles")

    assert result is not None
    assert [one.seed for one in result.repetitions] == [1, 2, 3]
    assert [one.minutes for one in result.repetitions] == [10, 20, 30]
    by_seed = {1: bundles[1], 2: bundles[2], 3: bundles[0]}
    for one in result.repetitions:
        manifest = by_seed[one.seed].manifest
        assert {score.beam for score in one.scores} == {manifest.decoding.beam}
        assert [score.metric for score in one.scores] == ["BLEU", "chrF2"]
        assert set(one.scores) <= set(manifest.scores)


def test_seed_of_the_recipe_is_first_whatever_its_number(toy):
    path = toy.recipe(**CHANGES, training__seed=2)
    for seed in (1, 2):
        publish(toy, path, seed)

    result = collect_result(read_recipe(path), toy.runs, toy.corpora / "bundles")

    assert result is not None
    assert [one.seed for one in result.repetitions] == [2, 1]


def test_seeds_whose_bundles_are_gone_stay_in_the_result(toy):
    path = toy.recipe(**CHANGES)
    recipe = read_recipe(path)
    kept, found = (collect_result_of(toy, path, seed) for seed in (1, 2))

    both = add_kept(found, kept, recipe)

    assert both.repetitions == (*kept.repetitions, *found.repetitions)
    assert add_kept(both, kept, recipe) == both
    assert add_kept(found, None, recipe) == found


def test_seeds_of_another_recipe_are_not_added(toy):
    path = toy.recipe(**CHANGES)
    kept = collect_result_of(toy, path, 1)
    other = toy.recipe(**CHANGES, training__learning_rate=0.5)
    found = collect_result_of(toy, other, 2)

    assert add_kept(found, kept, read_recipe(other)) == found


def test_published_bundle_is_found_where_bundles_are_published(toy):
    path = toy.recipe(**CHANGES | {"export__publish": True})
    bundle = publish(toy, path, 1)

    result = collect_result(read_recipe(path), toy.runs, toy.corpora / "bundles")

    assert bundle.path == toy.corpora / "bundles/toy/1"
    assert result is not None
    assert result.parameters == Bundle.open(bundle.path).manifest.architecture.parameters


def test_recipe_without_a_bundle_has_no_result(toy):
    path = toy.recipe(**CHANGES)

    assert collect_result(read_recipe(path), toy.runs, toy.corpora) is None
    assert load_result(path) is None


def test_bundle_of_another_version_is_not_the_result(toy):
    publish(toy, toy.recipe(**CHANGES), 1)

    newer = read_recipe(toy.recipe(**CHANGES, version=2))

    assert collect_result(newer, toy.runs, toy.corpora / "bundles") is None


def test_result_is_kept_beside_its_recipe(toy):
    path = toy.recipe()
    result = Result(recipe="toy", version=1, parameters=5, repetitions=())

    result.write(result_file(path))

    assert result_file(path) == toy.corpora / "results" / "toy.json"
    assert load_result(path) == result


def test_table_of_what_was_not_measured_says_so(toy):
    table = tabulate_results([("toy", read_recipe(toy.recipe()), None)])

    assert [row[:4] for row in table.rows] == [("toy", "de to en", "toy test", "not measured")]


def test_table_names_test_sets_as_scores_do(toy):
    test = {"name": "toy test", "languages": ["de", "en"], "files": ["test.de", "test.en"]}
    path = toy.recipe(**CHANGES, corpus__tests=[test, test | {"joined": 2}])
    bundle = publish(toy, path, 1)

    recipe = read_recipe(path)
    result = collect_result(recipe, toy.runs, toy.corpora / "bundles")

    table = tabulate_results([("toy", recipe, result)])
    named = dict.fromkeys(score.test_set for score in bundle.manifest.scores)
    assert [row[2] for row in table.rows] == list(named)
    assert not any("not measured" in row for row in table.rows)


def test_missing_recipe_is_told_by_its_name(tmp_path):
    with pytest.raises(ValueError, match=r"missing\.toml"):
        read_recipe(tmp_path / "missing.toml")
