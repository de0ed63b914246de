"""A bundle before it is published: a folder in the run, and what its manifest says of it."""

import importlib
import platform
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from models.bundle import (
    MANIFEST,
    Architecture,
    Data,
    Decoding,
    Direction,
    Graph,
    Manifest,
    Parity,
    Provenance,
    Tensor,
    TokenizerInfo,
    Training,
    Variant,
    VariantName,
    describe_file,
)
from models.tokenizer import Tokenizer, target_tag
from training.card import render_card
from training.prepare import describe_files
from training.recipe import Run

VARIANT: VariantName = "fp32"
"""The rendering written here: single precision, the reference."""
TOKENIZER = "tokenizer.model"
CARD = "card.md"

MAX_TARGET_FACTOR = 2.0
"""Target tokens allowed for each source token; a translation twice as long has gone astray."""
MAX_TARGET_EXTRA = 10
"""Target tokens allowed besides, for short sources."""
PACKAGES = ("torch", "numpy", "onnx", "onnxruntime", "sentencepiece", "sacrebleu")
"""Whose versions may show in the figures."""


def describe(
    run: Run, draft: Path, num_parameters: int, parity: Parity, training: Training
) -> Manifest:
    """Return the manifest of a draft that holds graphs and tokenizer, as yet unmeasured.

    Greedy search is its default until a sweep has chosen another.
    """
    (draft / CARD).touch()
    graphs = draft / VARIANT
    encoder, step = _describe_graph(graphs / "encoder.onnx"), _describe_graph(graphs / "step.onnx")
    states = [name for name in encoder.outputs if name.startswith("state_")]
    return Manifest(
        format=1,
        name=run.recipe.name,
        version=run.recipe.version,
        directions=[Direction(source=s, target=t) for s, t in run.recipe.corpus.directions],
        target_tags=_target_tags(run),
        architecture=_architecture(run, draft, num_parameters),
        encoder=encoder,
        step=step,
        state=[name.removesuffix("_NH") for name in states],
        variants={VARIANT: _variant(draft)},
        tokenizer=_tokenizer(run, draft),
        decoding=_decoding(run),
        scores=[],
        card=describe_file(draft / CARD, draft),
        provenance=_provenance(run, parity, training),
    )


def write_draft(draft: Path, manifest: Manifest) -> None:
    """Write the card and the manifest, which lists it, over those that are there."""
    (draft / CARD).write_text(render_card(manifest), encoding="utf-8")
    manifest = manifest.model_copy(update={"card": describe_file(draft / CARD, draft)})
    (draft / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _describe_graph(path: Path) -> Graph:
    graph = onnx.load(path, load_external_data=False).graph
    return Graph(
        inputs={value.name: _describe_tensor(value) for value in graph.input},
        outputs={value.name: _describe_tensor(value) for value in graph.output},
    )


def _describe_tensor(value: onnx.ValueInfoProto) -> Tensor:
    kind = value.type.tensor_type
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(kind.elem_type)).name
    shape = [size.dim_param or size.dim_value for size in kind.shape.dim]
    return Tensor.model_validate({"dtype": dtype, "shape": shape})


def _target_tags(run: Run) -> dict[str, str]:
    targets = [target for _, target in run.recipe.corpus.directions]
    return {target: target_tag(target) for target in targets} if run.recipe.has_tags else {}


def _architecture(run: Run, draft: Path, num_parameters: int) -> Architecture:
    network = run.recipe.network
    return Architecture(
        cell=network.cell,
        attention=network.attention,
        embedding_size=network.embedding_size,
        encoder_layers=network.encoder_layers,
        encoder_size=network.encoder_size,
        decoder_layers=network.decoder_layers,
        decoder_size=network.decoder_size,
        vocabulary_size=_tokenizer(run, draft).size,
        parameters=num_parameters,
    )


def _variant(draft: Path) -> Variant:
    encoder, step, weights = (
        describe_file(draft / VARIANT / name, draft)
        for name in ("encoder.onnx", "step.onnx", "weights.bin")
    )
    return Variant(encoder=encoder, step=step, weights=weights)


def _tokenizer(run: Run, draft: Path) -> TokenizerInfo:
    recipe, path = run.recipe.tokenizer, draft / TOKENIZER
    return TokenizerInfo(
        file=describe_file(path, draft),
        kind=recipe.kind,
        size=Tokenizer.open(path, recipe.normalisation).size,
        # Bytes would be words of their own to a vocabulary of words: it is trained without.
        byte_fallback=recipe.kind != "word",
        normalisation=recipe.normalisation,
    )


def _decoding(run: Run) -> Decoding:
    return Decoding(
        beam=1,
        length_penalty=min(run.recipe.export.length_penalties),
        max_source_tokens=run.recipe.export.max_source_tokens,
        max_target_factor=MAX_TARGET_FACTOR,
        max_target_extra=MAX_TARGET_EXTRA,
    )


def _provenance(run: Run, parity: Parity, training: Training) -> Provenance:
    versions = {name: str(importlib.import_module(name).__version__) for name in PACKAGES}
    return Provenance(
        created=datetime.now(UTC).date(),
        recipe=run.toml,
        recipe_sha256=run.sha256,
        data=_data(run),
        versions={"python": platform.python_version(), **versions},
        parity=parity,
        training=training,
    )


def _data(run: Run) -> list[Data]:
    hashes = describe_files(run)
    return [
        Data(
            name=text.name,
            licence=text.licence,
            attribution=text.attribution,
            pairs=_count_lines(run.prepared / f"{i}.tsv"),
            sha256={str(path): hashes[str(path)] for path in text.paths},
        )
        for i, text in enumerate(run.recipe.corpus.train)
    ]


def _count_lines(path: Path) -> int:
    with path.open(encoding="utf-8", newline="\n") as lines:
        return sum(1 for _ in lines)
