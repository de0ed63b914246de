"""Bundles and runs as experts: alone, together, and as what the engine can open."""

import pytest
import torch

from models.bundle import Bundle
from service.engine import TranslationOptions, open_translator
from training import checkpoint
from training.ensemble import Ensemble
from training.experts import (
    Place,
    ensemble_of,
    find_experts,
    join_experts,
    load_expert,
    open_expert,
)
from training.network import Network
from training.prepare import Prepared, prepare
from training.teachers import TeacherBundles

POSITION = {"step": 6, "epoch": 1, "batch": 2, "seconds": 90.0}


class School:
    """Runs of the toy corpus that differ in what a test names, as if they were trained."""

    def __init__(self, toy):
        self.toy = toy
        self.place = Place(toy.corpora, toy.runs, toy.corpora / "bundles")

    def train(self, name, seed=1, **changes):
        """Return the expert that a run became, and its network."""
        path = self.recipe(name, **changes)
        run = self.place.open(path)
        prepare(run)
        torch.manual_seed(seed)
        network = Network(run.recipe.network, Prepared(run).tokenizer.size)
        state = {"network": network.state_dict(), "position": POSITION, "machine": "two cores"}
        checkpoint.save(state, run.checkpoints / "best.pt")
        return open_expert(path, self.place), network

    def recipe(self, name, **changes):
        path = self.toy.recipe(name=name, **changes)
        return path.rename(path.with_name(f"{name}.toml"))


@pytest.fixture
def school(toy):
    return School(toy)


def test_bundle_is_known_by_its_manifest(tiny_bundle, school):
    expert = open_expert(tiny_bundle.path, school.place)

    assert (expert.name, expert.is_bundle) == ("tiny/1", True)
    assert expert.directions == {("de", "en"), ("en", "de")}
    assert expert.ancestor.sha256 == expert.sha256


def test_run_is_known_by_its_checkpoint(school):
    first, _ = school.train("first")
    second, _ = school.train("second", seed=2)

    assert (first.name, first.is_bundle) == ("first", False)
    assert first.directions == {("de", "en")}
    assert first.sha256 != second.sha256


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda school: school.toy.corpora, "is neither the folder of a bundle nor the recipe"),
        (
            lambda school: school.recipe("lazy"),
            r"best\.pt does not exist: train .*lazy\.toml first",
        ),
    ],
    ids=["folder", "untrained"],
)
def test_what_is_no_expert_is_refused(make, sentence, school):
    with pytest.raises(ValueError, match=sentence):
        open_expert(make(school), school.place)


def test_experts_are_found_by_direction(tiny_bundle, school):
    run, _ = school.train("first")
    bundle = open_expert(tiny_bundle.path, school.place)

    assert find_experts([run, bundle], ("de", "en")) == (run, bundle)
    assert find_experts([run, bundle], ("en", "de")) == (bundle,)


def test_run_is_loaded_with_its_network_and_what_it_took(school):
    expert, network = school.train("first")

    run, trained = load_expert(expert, school.place)

    assert run.recipe.name == "first"
    for mine, theirs in zip(trained.network.parameters(), network.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert (trained.training.minutes, trained.training.machine) == (1.5, "two cores")


def test_runs_that_differ_in_seed_and_size_are_joined(school):
    first, one = school.train("first")
    second, other = school.train("second", seed=2, network__decoder_size=20)

    _, trained = join_experts([first, second], school.place)

    assert isinstance(trained.network, Ensemble)
    assert trained.network.num_parameters == one.num_parameters + other.num_parameters
    assert [each.name for each in trained.ensemble] == ["first", "second"]
    assert (trained.training.minutes, trained.training.steps) == (3.0, 12)
    assert [data.name for data in trained.data] == ["toy train"]


def test_runs_of_different_vocabularies_are_not_joined(school):
    first, _ = school.train("first")
    second, _ = school.train("second", tokenizer__size=310)

    with pytest.raises(ValueError, match="second and first cannot translate together"):
        join_experts([first, second], school.place)


def test_recipe_of_other_directions_does_not_publish_an_ensemble(school):
    first, _ = school.train("first")
    run = school.place.open(school.recipe("both", corpus__directions=[["en", "de"]]))

    with pytest.raises(ValueError, match=r"corpus\.directions of the recipe is not what first"):
        ensemble_of(run, [first, first], school.place)


def test_published_teacher_is_asked_as_it_is(tiny_bundle, school):
    teachers = TeacherBundles(school.toy.open(name="student"), school.place)

    assert teachers.bundle_of([open_expert(tiny_bundle.path, school.place)]) == tiny_bundle.path


@pytest.mark.parametrize("count", [1, 2])
def test_runs_become_a_draft_that_the_engine_translates_with(count, school):
    experts = [school.train(f"run-{seed}", seed)[0] for seed in range(count)]
    teachers = TeacherBundles(school.toy.open(name="student"), school.place)

    folder = teachers.bundle_of(experts)

    ensemble = Bundle.open(folder).manifest.provenance.ensemble
    assert [each.name for each in ensemble] == ([] if count == 1 else ["run-0", "run-1"])
    translator = open_translator(folder, ("de", "en"))
    options = TranslationOptions(beam=2)
    assert len(list(translator.translate_all(["ich sehe Haus", "du malst"], options))) == 2
    translator.close()


def test_draft_is_made_once(school):
    expert, _ = school.train("first")
    teachers = TeacherBundles(school.toy.open(name="student"), school.place)
    folder = teachers.bundle_of([expert])
    (folder / "fp32/weights.bin").touch()
    before = (folder / "fp32/weights.bin").stat().st_mtime_ns

    assert teachers.bundle_of([expert]) == folder
    assert (folder / "fp32/weights.bin").stat().st_mtime_ns == before
