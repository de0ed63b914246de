import io
import json
import shutil

import pytest
from rich.console import Console
from typer.testing import CliRunner

from service.cli import dragoman
from service.inventory import bundle_table, inspect_bundles, score_tables


@pytest.fixture
def root(tiny_bundle, tmp_path):
    """A folder of bundles that a test may damage."""
    manifest = tiny_bundle.manifest
    shutil.copytree(tiny_bundle.path, tmp_path / manifest.name / str(manifest.version))
    return tmp_path


@pytest.fixture
def bundle(root, tiny_bundle):
    return root / tiny_bundle.manifest.name / str(tiny_bundle.manifest.version)


def rewrite(bundle, **fields):
    file = bundle / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | fields), "utf-8")


def measurement(metric, score, beam, test_set="newstest"):
    return {
        "test_set": test_set,
        "variant": "fp32",
        "direction": {"source": "de", "target": "en"},
        "metric": metric,
        "score": score,
        "signature": "made:up",
        "beam": beam,
        "length_penalty": 1.0,
        "sentences": 3003,
    }


def drawn(*tables):
    stream = io.StringIO()
    Console(file=stream, width=120).print(*tables)
    return [" ".join(line.split()) for line in stream.getvalue().splitlines()]


def test_sound_bundle_has_no_damage(root, tiny_bundle):
    [listing] = inspect_bundles(root)

    assert (listing.identity, listing.damage) == (tiny_bundle.identity, None)
    assert listing.manifest == tiny_bundle.manifest


def test_changed_file_is_named_as_damage(root, bundle):
    weights = bundle / "fp32/weights.bin"
    content = bytearray(weights.read_bytes())
    content[0] ^= 1
    weights.write_bytes(content)

    [listing] = inspect_bundles(root)

    assert listing.damage == "fp32/weights.bin has another SHA-256 than the manifest says"


def test_damaged_bundle_keeps_its_place_in_the_list(root, bundle, tiny_bundle):
    rewrite(bundle, version="two")

    [listing] = inspect_bundles(root)

    assert listing.identity == tiny_bundle.identity
    assert listing.fields().keys() == {"bundle", "damage"}


def test_damage_is_shown_and_fails_the_command(root, bundle, tiny_bundle, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    (bundle / "fp32/step.onnx").unlink()

    result = CliRunner().invoke(dragoman, ["bundles", "--bundles", str(root)])

    assert result.exit_code == 1
    assert tiny_bundle.identity in result.stdout
    assert "damaged: fp32/step.onnx is missing" in result.stdout


def test_damage_is_in_the_json(root, bundle):
    (bundle / "fp32/step.onnx").unlink()

    result = CliRunner().invoke(dragoman, ["bundles", "--bundles", str(root), "--json"])

    assert result.exit_code == 1
    assert json.loads(result.stdout)[0]["damage"] == "fp32/step.onnx is missing"


def test_table_has_a_line_for_each_bundle(root, bundle, tiny_bundle):
    rewrite(bundle, version=7)
    bundle.rename(bundle.parent / "7")
    manifest = tiny_bundle.manifest

    lines = drawn(bundle_table(inspect_bundles(root)))

    [line] = [line for line in lines if line.endswith("verified")]
    assert line.startswith(f"{manifest.name}/7 ")
    assert f" {manifest.architecture.parameters:,} " in line


def test_scores_of_one_measurement_stand_on_one_line(root, bundle):
    scores = [
        measurement("BLEU", 31.44, 4),
        measurement("BLEU", 30.0, 1),
        measurement("chrF2", 55.06, 4),
        measurement("BLEU", 20.0, 4, "flores"),
    ]
    rewrite(bundle, scores=scores)

    lines = drawn(*score_tables(inspect_bundles(root)))

    assert "de-en newstest 3003 fp32 4 1.0 31.4 55.1" in lines
    assert "de-en newstest 3003 fp32 1 1.0 30.0" in lines
    assert "de-en flores 3003 fp32 4 1.0 20.0" in lines


def test_bundle_without_scores_has_no_table_of_them(root, bundle):
    rewrite(bundle, scores=[])

    assert list(score_tables(inspect_bundles(root))) == []
