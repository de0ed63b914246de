"""From a text to a run: what is written down, and that the same command goes on."""

from dataclasses import replace

import pytest
import torch

from tests.training.phrases import phrases
from training import sizes
from training.own_text import (
    Measuring,
    OwnText,
    check_version_is_free,
    find_bundle,
    reopen,
    usual_rules,
)
from training.run import Run
from training.sizes import Shape
from training.text_recipe import TextRecipe

TINY = (Shape(1, 2, 12, 8, 12), Shape(1, 2, 16, 8, 16))
CPU = torch.device("cpu")


@pytest.fixture
def own(tmp_path, monkeypatch) -> OwnText:
    monkeypatch.setattr(sizes, "SHAPES", TINY)
    path = tmp_path / "Memory 1.tsv"
    lines = "".join(f"{german}\t{english}\n" for german, english in phrases(300))
    path.write_text(lines, encoding="utf-8")
    return OwnText((path,), "de", "en")


def start(own: OwnText, runs) -> tuple[Run, list[str]]:
    told: list[str] = []
    return Measuring(own, runs, runs / "bundles", 0.2, CPU, told.append).start(), told


@pytest.fixture
def started(own, tmp_path):
    return start(own, tmp_path / "runs")


def test_run_is_named_by_its_file_and_languages(own):
    assert own.model == "memory-1-de-en"
    assert OwnText(own.files, "de", "en", name="mine").model == "mine"


def test_recipe_is_one_that_the_ordinary_commands_read(started, tmp_path):
    run, _ = started

    assert run.folder == tmp_path / "runs/memory-1-de-en"
    assert run.toml == (run.folder / "recipe.toml").read_text(encoding="utf-8")
    recipe = run.recipe
    assert recipe.corpus.directions == (("de", "en"),)
    assert (run.corpora / recipe.corpus.train[0].paths[0]).exists()
    assert recipe.training.warmup_steps + recipe.training.decay_steps <= recipe.training.max_steps
    assert (run.prepared / "tokenizer.model").exists()


def test_what_was_chosen_is_told_and_stands_in_the_recipe(started):
    run, told = started

    for beginning in ("held out: ", "text: 240 pairs", "vocabulary: ", "network: ", "dropout: "):
        assert any(line.startswith(beginning) for line in told), beginning
    assert any(line.startswith("estimate: ") and line.endswith(" minutes") for line in told)
    reasons = [line for line in told if f"# {line}\n" in run.toml]
    assert len(reasons) == 6


def test_nothing_of_timing_is_left(started):
    run, _ = started

    assert not run.checkpoints.exists()
    assert not (run.folder / "metrics.jsonl").exists()


def test_same_wish_opens_the_same_run(started, own, tmp_path):
    run, _ = started

    again = reopen(own, tmp_path / "runs", tmp_path / "runs/bundles")

    assert again == run


def test_edited_recipe_is_kept(started, own, tmp_path):
    run, _ = started
    edited = run.toml.replace("seed = 1", "seed = 7")
    (run.folder / "recipe.toml").write_text(edited, encoding="utf-8")

    assert reopen(own, tmp_path / "runs", tmp_path / "runs/bundles").recipe.training.seed == 7


def test_interrupted_before_the_recipe_begins_anew(started, own, tmp_path):
    run, _ = started
    (run.folder / "recipe.toml").unlink()

    assert reopen(own, tmp_path / "runs", tmp_path / "runs/bundles") is None


def test_both_directions_are_two_of_one_model(own, tmp_path):
    both = OwnText(own.files, "de", "en", both=True, name="both")
    run, _ = start(both, tmp_path / "runs")

    assert run.recipe.corpus.directions == (("de", "en"), ("en", "de"))


@pytest.mark.parametrize(
    ("change", "named"),
    [({"both": True}, "other directions"), ({"version": 2}, "other version")],
)
def test_another_wish_does_not_take_over_a_run(change, named, started, own, tmp_path):
    other = OwnText(own.files, "de", "en", **change)

    with pytest.raises(ValueError, match=f"{named}: give another --name"):
        reopen(other, tmp_path / "runs", tmp_path / "runs/bundles")


def test_another_text_does_not_take_over_a_run(started, own, tmp_path):
    with own.files[0].open("a") as file:
        file.write("Neu\tNew\n")

    with pytest.raises(ValueError, match="other text"):
        reopen(own, tmp_path / "runs", tmp_path / "runs/bundles")


def test_run_of_an_ordinary_recipe_is_left_alone(own, tmp_path):
    (tmp_path / "runs/memory-1-de-en/checkpoints").mkdir(parents=True)

    with pytest.raises(ValueError, match="is the run of a recipe of yours"):
        reopen(own, tmp_path / "runs", tmp_path / "runs/bundles")


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"target": "english"}, "--to english: a code such as en, de or pt-BR is needed"),
        ({"target": "de"}, "--from and --to are both de"),
        ({"name": "My Model"}, "--name My Model: small letters"),
        ({"files": 3}, "--corpus is given 3 times"),
    ],
)
def test_wish_that_cannot_be_is_refused(wish, sentence, own):
    fields = {"target": "en", "name": None, "files": 1} | wish
    files = own.files * fields.pop("files")

    with pytest.raises(ValueError, match=sentence):
        OwnText(files, "de", **fields).describe()


def test_form_follows_the_files(own, tmp_path):
    tmx = OwnText((tmp_path / "a.TMX",), "de", "en").describe()
    files = OwnText((tmp_path / "a.de", tmp_path / "a.en"), "de", "en").describe()

    assert (tmx.tmx, own.describe().tsv) == (tmp_path / "a.TMX", own.files[0])
    assert files.files == (tmp_path / "a.de", tmp_path / "a.en")


def test_usual_ratio_of_lengths_is_no_fault(tmp_path):
    (tmp_path / "a.tsv").write_text("I would like to drink tea.\t\u6211\u60f3\u559d\u8336\u3002\n")
    text = TextRecipe(name="a", languages=("en", "zh"), tsv=tmp_path / "a.tsv")

    assert usual_rules(text, tmp_path).max_ratio == pytest.approx(3 * 26 / 5, abs=0.1)


def test_published_version_is_refused_before_any_work(own, tmp_path):
    (tmp_path / "memory-1-de-en/1").mkdir(parents=True)

    with pytest.raises(ValueError, match="give --version 2 or another --name"):
        check_version_is_free(own, tmp_path)


def test_bundle_of_another_recipe_is_not_taken_for_this_one(started, tiny_bundle):
    run, _ = started
    recipe = run.recipe.model_copy(update={"name": "tiny"})
    other = replace(run, recipe=recipe, bundles=tiny_bundle.path.parents[1])

    assert find_bundle(run) is None
    with pytest.raises(ValueError, match="tiny/1 was made by another recipe"):
        find_bundle(other)
