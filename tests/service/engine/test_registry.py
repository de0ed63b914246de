import asyncio
import json
import logging
from collections.abc import Iterator

import pytest

from models.bundle import MANIFEST, DamagedBundle, publish
from service.engine import EngineOptions, Models
from service.errors import Overloaded, UnsupportedPair
from tests.versions import publish_damaged, publish_version

OPTIONS = EngineOptions(device="cpu", workers=1)


@pytest.fixture
def models(tiny_bundle) -> Iterator[Models]:
    models = Models.open(tiny_bundle.path.parents[1], OPTIONS)
    yield models
    models.close()


def translate(models: Models, source: str, target: str) -> str:
    return asyncio.run(models.find(source, target).translate("Guten Morgen.")).text


def test_both_directions_of_a_bundle_are_served(models):
    assert models.languages() == {"de": ["en"], "en": ["de"]}
    assert translate(models, "de", "en") != translate(models, "en", "de")


@pytest.mark.parametrize("source", ["de", "DE", "de-AT", "de_CH", "de-Latn-AT"])
def test_tag_falls_back_to_its_language(models, source):
    assert models.find(source, "en-US") is models.find("de", "en")


def publish_pair(origin, root, name, pair, scores=()):
    """Publish a copy that says it translates between these two, and how well."""
    one, other = pair
    folder = publish_version(origin, root / "drafts", 1, name=name)
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    directions = [{"source": one, "target": other}, {"source": other, "target": one}]
    manifest["directions"] = directions
    manifest["target_tags"] = {one: "<2de>", other: "<2en>"}
    manifest["scores"] = [
        SCORE | {"direction": direction, "score": score}
        for direction, score in zip(directions, scores, strict=False)
    ]
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    publish(folder, root / "bundles")


SCORE = {
    "variant": "fp32",
    "test_set": "test",
    "metric": "chrF2",
    "signature": "",
    "beam": 1,
    "length_penalty": 1.0,
    "sentences": 1,
}


def open_pairs(origin, root, pairs):
    for i, (pair, scores) in enumerate(pairs.items()):
        publish_pair(origin, root, f"m{i}", pair, scores)
    return Models.open(root / "bundles", OPTIONS)


def test_pair_without_a_model_goes_through_a_third_language(tiny_bundle, tmp_path):
    models = open_pairs(tiny_bundle, tmp_path, {("de", "en"): (), ("en", "fr"): ()})

    found = asyncio.run(models.find("de", "fr-CA").translate("Guten Morgen."))

    assert (found.source, found.target, found.pivot) == ("de", "fr", "en")
    assert found.model == "m0/1+m1/1"
    assert models.languages() == {"de": ["en", "fr"], "en": ["de", "fr"], "fr": ["de", "en"]}
    assert models.pivots() == {("de", "fr"): "en", ("fr", "de"): "en"}
    assert asyncio.run(models.find("de", "en").translate("Guten Morgen.")).pivot is None
    models.close()


@pytest.mark.parametrize(
    ("scores", "pivot"),
    [
        # Both halves through Spanish are fair; of those through English one is bad.
        ({"en": (90, 10), "es": (50, 50)}, "es"),
        ({"en": (60, 50), "es": (50, 40)}, "en"),
        ({"en": (), "es": ()}, "en"),
        ({"da": (), "es": ()}, "da"),
    ],
)
def test_third_language_is_the_one_whose_worse_half_is_best(tiny_bundle, tmp_path, scores, pivot):
    pairs = {}
    for between, (*halves,) in scores.items():
        first, second = halves or (None, None)
        pairs["de", between] = (first,) * bool(halves)
        pairs[between, "fr"] = (second,) * bool(halves)

    models = open_pairs(tiny_bundle, tmp_path, pairs)

    assert models.pivots()["de", "fr"] == pivot
    models.close()


@pytest.mark.parametrize(
    ("source", "target", "field"), [("fr", "en", "source"), ("de", "fr", "target")]
)
def test_unknown_pair_is_refused(models, source, target, field):
    with pytest.raises(UnsupportedPair, match=f"{source}-{target} is not served") as refused:
        models.find(source, target)
    assert refused.value.field == field


def test_language_is_one_of_those_served(models):
    assert models.detect("Good morning, how are you?").language == "en"


def test_detector_is_loaded_once_for_models_of_the_same_languages(models):
    successor = Models(models.loaded, models.detector)

    assert successor.detector is models.detector


def test_newest_version_is_served(tmp_path, tiny_bundle):
    for version in (2, 10):
        publish_version(tiny_bundle, tmp_path, version)

    models = Models.open(tmp_path, OPTIONS)

    assert [each.version for each in models.describe()] == ["10"]
    assert models.find("de", "en").model == "tiny/10"
    models.close()


def test_first_of_two_models_serves_a_pair_and_the_other_is_told_of(tmp_path, tiny_bundle, caplog):
    for name in ("b", "a"):
        publish_version(tiny_bundle, tmp_path, 1, name=name)

    with caplog.at_level(logging.WARNING):
        models = Models.open(tmp_path, OPTIONS)

    assert models.find("de", "en").model == "a/1"
    assert "two models serve the same pair" in caplog.messages
    models.close()


def test_newest_version_that_is_damaged_is_refused(tmp_path, tiny_bundle):
    publish_version(tiny_bundle, tmp_path, 1)
    publish_damaged(tiny_bundle, tmp_path, 2)

    with pytest.raises(DamagedBundle, match=r"tiny/2: .*weights\.bin"):
        Models.open(tmp_path, OPTIONS)


def test_empty_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no bundle"):
        Models.open(tmp_path)


def test_closed_models_refuse(tiny_bundle):
    models = Models.open(tiny_bundle.path.parents[1], OPTIONS)
    models.close(timeout_seconds=10)

    with pytest.raises(Overloaded):
        translate(models, "de", "en")
