"""A bundle is whole and as published, or it is refused by a sentence that says why."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from models.bundle import Bundle, DamagedBundle, describe_file, find_bundles, publish
from models.tokenizer import Tokenizer

FILES = ["fp32/encoder.onnx", "fp32/step.onnx", "fp32/weights.bin", "tokenizer.model", "card.md"]


def tensors(*names: str) -> dict:
    return {name: {"dtype": "float32", "shape": list(name.split("_")[-1])} for name in names}


def manifest_of(folder: Path) -> dict:
    files = {
        name: {
            "path": name,
            "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(),
            "size_bytes": len((folder / name).read_bytes()),
        }
        for name in FILES
    }
    encoder, step, weights, tokenizer, card = (files[name] for name in FILES)
    memory = tensors("keys_NAS", "memory_NSM")
    rows = tensors("tokens_NK", "parents_NK", "mask_NS")
    candidates = {"candidates": {"dtype": "int64", "shape": [1]}}
    return {
        "format": 2,
        "name": "de-en",
        "version": 3,
        "directions": [{"source": "de", "target": "en"}, {"source": "en", "target": "de"}],
        "target_tags": {"en": "<2en>", "de": "<2de>"},
        "architecture": {
            "cell": "gru",
            "attention": "additive",
            "embedding_size": 8,
            "encoder_layers": 1,
            "encoder_size": 8,
            "decoder_layers": 1,
            "decoder_size": 8,
            "vocabulary_size": 32,
            "parameters": 1000,
        },
        "encoder": {
            "inputs": tensors("source_NS", "lengths_N"),
            "outputs": memory | tensors("state_0_NH"),
        },
        "step": {
            "inputs": rows | candidates | memory | tensors("state_0_PH"),
            "outputs": tensors("scores_NKC", "tokens_NKC", "attention_NKS", "next_state_0_NKH"),
        },
        "state": ["state_0"],
        "variants": {"fp32": {"encoder": encoder, "step": step, "weights": weights}},
        "tokenizer": {
            "file": tokenizer,
            "kind": "bpe",
            "size": 32,
            "byte_fallback": True,
            "normalisation": "NFC",
        },
        "decoding": {
            "beam": 4,
            "length_penalty": 1,
            "max_source_tokens": 100,
            "max_target_factor": 1.5,
            "max_target_extra": 10,
        },
        "scores": [],
        "card": card,
        "provenance": {
            "created": "2026-01-31",
            "recipe": "name = 'de-en'\n",
            "recipe_sha256": "0" * 64,
            "data": [],
            "versions": {"python": "3.11"},
            "parity": {
                "max_logit_difference": 1e-6,
                "tolerance": 1e-4,
                "sentences": 1,
                "tokens": 7,
                "ties": 0,
            },
            "training": {"minutes": 0.1, "machine": "two cores", "steps": 1, "epochs": 0.5},
        },
    }


def write(folder: Path, manifest: dict) -> None:
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


@pytest.fixture
def draft(tmp_path) -> Path:
    """A folder that is ready to be published."""
    folder = tmp_path / "draft"
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(f"contents of {name}".encode())
    write(folder, manifest_of(folder))
    return folder


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "bundles"


@pytest.fixture
def manifest(draft) -> dict:
    return json.loads((draft / "manifest.json").read_text(encoding="utf-8"))


def test_published_bundle_opens_with_what_the_draft_said(draft, root):
    published = publish(draft, root)

    opened = Bundle.open(root / "de-en" / "3")
    assert opened == published
    assert opened.identity == "de-en/3"
    assert opened.manifest.decoding.beam == 4
    assert opened.file(opened.manifest.card).read_bytes() == b"contents of card.md"


def test_attention_has_one_head_unless_the_manifest_says_otherwise(draft, manifest):
    assert Bundle.open(draft).manifest.architecture.attention_heads == 1

    manifest["architecture"] |= {"attention_heads": 4, "attention_size": 16}
    write(draft, manifest)

    architecture = Bundle.open(draft).manifest.architecture
    assert (architecture.attention_heads, architecture.attention_size) == (4, 16)


def test_network_is_plain_unless_its_manifest_says_more(draft, manifest, root):
    plain = Bundle.open(draft).manifest.architecture
    manifest["architecture"] |= {"layer_norm": True, "residual": True, "context": "first"}
    write(draft, manifest)

    published = publish(draft, root).manifest.architecture

    assert (plain.layer_norm, plain.residual, plain.context) == (False, False, "every")
    assert (published.layer_norm, published.residual, published.context) == (True, True, "first")


def test_described_file_carries_the_hash_and_size_of_its_bytes(tmp_path):
    (tmp_path / "fp32").mkdir()
    (tmp_path / "fp32/weights.bin").write_bytes(b"abc")

    described = describe_file(tmp_path / "fp32/weights.bin", tmp_path)

    # FIPS 180-2, appendix B.1: the digest of "abc".
    assert described.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert (described.path, described.size_bytes) == ("fp32/weights.bin", 3)


@pytest.mark.parametrize("name", FILES)
def test_changed_byte_is_refused(draft, name):
    content = bytearray((draft / name).read_bytes())
    content[0] ^= 1
    (draft / name).write_bytes(content)

    with pytest.raises(DamagedBundle, match=f"{name} has another SHA-256 than the manifest says"):
        Bundle.open(draft)


def test_truncated_file_is_refused(draft):
    (draft / "fp32/weights.bin").write_bytes(b"contents")

    with pytest.raises(DamagedBundle, match=r"weights.bin has 8 bytes, the manifest says 28"):
        Bundle.open(draft)


@pytest.mark.parametrize("name", FILES)
def test_missing_file_is_refused(draft, name):
    (draft / name).unlink()

    with pytest.raises(DamagedBundle, match=f"{name} is missing"):
        Bundle.open(draft)


def test_folder_in_the_place_of_a_file_is_refused(draft):
    (draft / "card.md").unlink()
    (draft / "card.md").mkdir()

    with pytest.raises(DamagedBundle, match=r"card.md is missing"):
        Bundle.open(draft)


def test_unlisted_file_is_refused(draft):
    (draft / "fp32/extra.bin").write_bytes(b"")

    with pytest.raises(DamagedBundle, match=r"fp32/extra.bin is not listed in the manifest"):
        Bundle.open(draft)


def test_link_is_refused_even_to_the_right_bytes(draft, tmp_path):
    (draft / "card.md").rename(tmp_path / "card.md")
    (draft / "card.md").symlink_to(tmp_path / "card.md")

    with pytest.raises(DamagedBundle, match=r"card.md is a link"):
        Bundle.open(draft)


def test_missing_folder_is_refused(tmp_path):
    with pytest.raises(DamagedBundle, match=r"nowhere: manifest.json cannot be read: No such file"):
        Bundle.open(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"", b'{"format": 1', b"\xff\xfe"])
def test_manifest_that_is_not_json_is_refused(draft, content):
    (draft / "manifest.json").write_bytes(content)

    with pytest.raises(DamagedBundle, match=r"manifest.json is not JSON"):
        Bundle.open(draft)


@pytest.mark.parametrize("other", [1, 3])
def test_other_format_is_refused_before_its_fields_are_read(draft, other):
    write(draft, {"format": other, "unheard": "of"})

    with pytest.raises(
        DamagedBundle, match=rf"manifest.json is of format {other}; this program reads format 2"
    ):
        Bundle.open(draft)


@pytest.mark.parametrize("content", [[], "text", {"format": None}, {"format": "2"}, {}])
def test_manifest_without_a_known_format_is_refused(draft, content):
    write(draft, content)

    with pytest.raises(DamagedBundle, match=r"manifest.json is invalid"):
        Bundle.open(draft)


def test_unknown_field_is_refused_by_its_place(draft, manifest):
    manifest["decoding"]["temperature"] = 1
    write(draft, manifest)

    with pytest.raises(DamagedBundle, match=r"manifest.json is invalid: decoding.temperature"):
        Bundle.open(draft)


def test_wrong_type_is_refused_by_its_place(draft, manifest):
    manifest["decoding"]["beam"] = "4"
    write(draft, manifest)

    with pytest.raises(DamagedBundle, match=r"manifest.json is invalid: decoding.beam"):
        Bundle.open(draft)


@pytest.mark.parametrize(
    "path",
    ["../card.md", "/etc/passwd", "fp32/../card.md", ".hidden", "fp32//step.onnx", "a\\b", "", "."],
)
def test_path_that_leaves_the_bundle_is_refused(draft, manifest, path):
    manifest["card"]["path"] = path
    write(draft, manifest)

    with pytest.raises(DamagedBundle, match=r"invalid: card.path: .* not a plain path inside"):
        Bundle.open(draft)


def test_manifest_that_lists_itself_is_refused(draft, manifest):
    manifest["card"]["path"] = "manifest.json"
    write(draft, manifest)

    with pytest.raises(DamagedBundle, match=r"card.path: .* the manifest cannot list itself"):
        Bundle.open(draft)


def test_direction_without_its_target_tag_is_refused(draft, manifest):
    del manifest["target_tags"]["en"]
    write(draft, manifest)

    with pytest.raises(DamagedBundle, match=r"target_tags must name exactly \['de', 'en'\]"):
        Bundle.open(draft)


@pytest.mark.parametrize("graph", ["encoder", "step"])
@pytest.mark.parametrize("side", ["inputs", "outputs"])
def test_graph_without_a_tensor_is_refused(draft, manifest, graph, side):
    manifest[graph][side].popitem()
    write(draft, manifest)

    with pytest.raises(DamagedBundle, match=f"{graph}.{side} must name exactly"):
        Bundle.open(draft)


def cost_of(*, score: float, reference: float) -> dict:
    row = {
        "direction": {"source": "de", "target": "en"},
        "metric": "BLEU",
        "signature": "nrefs:1",
        "beam": 1,
        "length_penalty": 1.0,
        "score": score,
        "reference": reference,
    }
    return {"test_set": "dev", "sentences": 7, "rows": [row]}


def score_of(variant: str) -> dict:
    row = cost_of(score=20.5, reference=0)["rows"][0]
    del row["reference"]
    return row | {"variant": variant, "test_set": "test", "sentences": 3}


def add_variant(folder: Path, manifest: dict, name: str, **fields: object) -> None:
    """Give a draft a variant whose files hold what those of fp32 do."""
    shutil.copytree(folder / "fp32", folder / name)
    files = {
        part: file | {"path": file["path"].replace("fp32", name)}
        for part, file in manifest["variants"]["fp32"].items()
    }
    manifest["variants"][name] = files | fields
    write(folder, manifest)


def test_variants_travel_with_their_cost(draft, root, manifest):
    manifest["scores"] = [score_of("int8")]
    add_variant(draft, manifest, "int8", cost=cost_of(score=30.1, reference=30.2))

    variants = publish(draft, root).manifest.variants

    (row,) = variants["int8"].cost.rows
    assert (row.score, row.reference) == (30.1, 30.2)
    assert variants["fp32"].cost is None
    assert (root / "de-en/3/int8/weights.bin").exists()


def test_bundle_without_fp32_is_refused(draft, manifest):
    add_variant(draft, manifest, "int8")
    del manifest["variants"]["fp32"]
    shutil.rmtree(draft / "fp32")
    write(draft, manifest)

    with pytest.raises(DamagedBundle, match="variants must name fp32, the reference"):
        Bundle.open(draft)


def test_reference_that_costs_something_is_refused(draft, manifest):
    manifest["variants"]["fp32"]["cost"] = cost_of(score=30.1, reference=30.2)
    write(draft, manifest)

    with pytest.raises(DamagedBundle, match="fp32, the reference, which has no cost"):
        Bundle.open(draft)


def test_score_of_a_variant_that_is_not_there_is_refused(draft, manifest):
    manifest["scores"] = [score_of("int8")]
    write(draft, manifest)

    with pytest.raises(DamagedBundle, match=r"scores are of \['int8'\], which variants does not"):
        Bundle.open(draft)


def test_tokenizer_that_is_none_is_refused_by_name(draft):
    with pytest.raises(DamagedBundle, match=r"tokenizer.model cannot be read"):
        Bundle.open(draft).tokenizer()


def test_tokenizer_is_opened_with_its_case(draft, manifest):
    texts = ["Das Haus am See ist alt.", "Das Brot"] * 5
    tokenizer = Tokenizer.train(texts, kind="bpe", size=300, normalisation="NFC", case="inline")
    tokenizer.save(draft / "tokenizer.model")
    file = describe_file(draft / "tokenizer.model", draft).model_dump()
    manifest["tokenizer"] |= {"file": file, "size": tokenizer.size, "case": "inline"}
    write(draft, manifest)

    opened = Bundle.open(draft).tokenizer()

    assert opened.decode(opened.encode("Das HAUS")) == "Das HAUS"
    assert opened.case_ids == tokenizer.case_ids != ()


def test_published_version_is_refused_a_second_time(draft, root, manifest):
    publish(draft, root)
    write(draft, manifest | {"scores": []})

    with pytest.raises(FileExistsError, match=r"de-en/3 is published already"):
        publish(draft, root)


def test_damaged_draft_leaves_nothing_behind(draft, root):
    (draft / "card.md").unlink()

    with pytest.raises(DamagedBundle, match=r"card.md is missing"):
        publish(draft, root)

    assert not root.exists()


def test_publishing_leaves_the_draft_and_no_staging_folder(draft, root):
    publish(draft, root)

    assert [path.name for path in (root / "de-en").iterdir()] == ["3"]
    assert Bundle.open(draft).identity == "de-en/3"


def test_bundle_appears_only_when_every_file_is_in_place(draft, root, monkeypatch):
    seen = []

    def look_then_flush(descriptor: int) -> None:
        seen.append(find_bundles(root))

    monkeypatch.setattr(os, "fsync", look_then_flush)
    publish(draft, root)

    *before, after = seen
    assert before == [[]] * (len(FILES) + 3)  # the manifest, fp32/ and the folder itself
    assert after == [root / "de-en" / "3"]


def test_interrupted_publish_is_not_seen_and_leaves_nothing(draft, root, monkeypatch):
    def fail(descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        publish(draft, root)

    assert find_bundles(root) == []
    assert list((root / "de-en").iterdir()) == []


def test_loser_of_a_race_to_publish_is_refused_and_changes_nothing(draft, root, monkeypatch):
    other = root / "de-en" / "3"

    def win(descriptor: int) -> None:
        other.mkdir(exist_ok=True)
        (other / "manifest.json").write_text("the other's")

    monkeypatch.setattr(os, "fsync", win)
    with pytest.raises(FileExistsError, match="is published already"):
        publish(draft, root)

    assert (other / "manifest.json").read_text() == "the other's"


def test_published_bundle_is_readable_by_every_user(draft, root):
    publish(draft, root)

    assert (root / "de-en" / "3").stat().st_mode & 0o777 == 0o755


def test_half_written_folders_are_not_seen(draft, root):
    for version in ["1", "2", "10", ".11-abc"]:
        (root / "de-en" / version).mkdir(parents=True)
        (root / "de-en" / version / "manifest.json").write_text("{}")
    (root / "de-en" / "12").mkdir()

    assert [path.name for path in find_bundles(root)] == ["1", "2", "10"]


def test_absent_root_holds_no_bundles(root):
    assert find_bundles(root) == []
