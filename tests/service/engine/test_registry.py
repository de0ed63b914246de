import asyncio
import logging
import shutil
from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY

from models.bundle import DamagedBundle
from service.engine import Models, TranslationOptions, open_translator
from service.errors import Overloaded, UnsupportedPair
from tests.conftest import publish_bundle

TEXTS = [
    "Guten Morgen. Wie geht es dir?",
    "Das Haus.",
    "Ich sehe einen Hund,\nzwei Katzen und ein schönes, aber kleines Haus.",
    "Hund!",
    "",
] * 4


@pytest.fixture
def root(tiny_bundle):
    return tiny_bundle.path.parents[1]


@pytest.fixture
def models(root) -> Iterator[Models]:
    models = Models.open(root, workers=1)
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


@pytest.mark.parametrize(
    ("source", "target", "field"), [("fr", "en", "source"), ("de", "fr", "target")]
)
def test_unknown_pair_is_refused(models, source, target, field):
    with pytest.raises(UnsupportedPair, match=f"{source}-{target} is not served") as refused:
        models.find(source, target)
    assert refused.value.field == field


def test_description_is_the_manifests(models, tiny_bundle):
    described = models.describe()[0]

    assert (described.name, described.version) == ("tiny", "1")
    assert described.directions == tiny_bundle.manifest.directions
    assert (described.variant, described.provider) == ("fp32", "CPUExecutionProvider")
    assert described.parameters == tiny_bundle.manifest.architecture.parameters


def test_language_is_one_of_those_served(models):
    assert models.detect("Good morning, how are you?").language == "en"


def test_newest_version_is_served(tmp_path, tiny_bundle):
    for version in (2, 10):
        publish_bundle(tmp_path / "bundles", tmp_path / f"draft{version}", "tiny", version=version)

    models = Models.open(tmp_path / "bundles", workers=1)

    assert [each.version for each in models.describe()] == ["10"]
    assert models.find("de", "en").model == "tiny/10"
    models.close()


def test_first_of_two_models_serves_a_pair_and_the_other_is_told_of(tmp_path, caplog):
    for name in ("b", "a"):
        publish_bundle(tmp_path / "bundles", tmp_path / name, name)

    with caplog.at_level(logging.WARNING):
        models = Models.open(tmp_path / "bundles", workers=1)

    assert models.find("de", "en").model == "a/1"
    assert "two models serve the same pair" in caplog.messages
    models.close()


def test_damaged_bundle_is_refused(tmp_path, root):
    shutil.copytree(root, tmp_path / "bundles")
    (tmp_path / "bundles/tiny/1/fp32/weights.bin").write_bytes(b"")

    with pytest.raises(DamagedBundle, match=r"weights\.bin"):
        Models.open(tmp_path / "bundles", workers=1)


def test_empty_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no bundle"):
        Models.open(tmp_path)


def test_closed_models_are_not_ready_and_refuse(root):
    models = Models.open(root, workers=1)
    was_ready = models.is_ready
    models.close(timeout_seconds=10)

    assert was_ready
    assert not models.is_ready
    with pytest.raises(Overloaded):
        translate(models, "de", "en")


def test_loaded_model_shows_in_the_metrics(models):
    labels = {"model": "tiny/1", "variant": "fp32", "provider": "CPUExecutionProvider"}

    assert REGISTRY.get_sample_value("dragoman_model_info", labels) == 1


def test_direction_that_a_bundle_lacks_is_refused(tiny_bundle):
    with pytest.raises(UnsupportedPair, match="de-fr is not served"):
        open_translator(tiny_bundle.path, ("de", "fr"))


@pytest.mark.parametrize("beam", [1, 3])
def test_texts_translate_alike_alone_and_in_any_company(tiny_bundle, beam):
    options = TranslationOptions(beam=beam, alternatives=beam - 1)
    alone = open_translator(tiny_bundle.path, ("de", "en"), workers=1)
    crowded = open_translator(tiny_bundle.path, ("de", "en"), workers=2, max_rows=7)

    together = list(crowded.translate_all(TEXTS, options))

    assert together == [asyncio.run(alone.translate(text, options)) for text in TEXTS]
    alone.close()
    crowded.close()
