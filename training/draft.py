"""A bundle before it is published: a folder in the run, and what its manifest says of it."""

import importlib
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from models.bundle import (
    FORMAT,
    MANIFEST,
    Architecture,
    Decoding,
    Direction,
    Manifest,
    Parity,
    Provenance,
    TokenizerInfo,
    VariantName,
    describe_file,
)
from models.tokenizer import target_tag
from training.card import render_card
from training.graph_reader import describe_graph, describe_variant
from training.graphs import GraphFiles
from training.run import Run
from training.trained import Trained

TOKENIZER = "tokenizer.model"
CARD = "card.md"

MAX_TARGET_FACTOR = 2.0
"""Target tokens allowed for each source token; a translation twice as long has gone astray."""
MAX_TARGET_EXTRA = 10
"""Target tokens allowed besides, for short sources."""
PACKAGES = ("torch", "numpy", "onnx", "onnxruntime", "sentencepiece", "sacrebleu", "sacremoses")
"""Whose versions may show in the figures."""


def describe(
    run: Run,
    trained: Trained,
    draft: Path,
    graphs: Mapping[VariantName, GraphFiles],
    parity: Parity,
) -> Manifest:
    """Return the manifest of a draft that holds graphs and tokenizer, as yet unmeasured.

    Greedy search is its default until a sweep has chosen another.
    """
    (draft / CARD).touch()
    encoder, step = describe_graph(graphs["fp32"].encoder), describe_graph(graphs["fp32"].step)
    states = [name for name in encoder.outputs if name.startswith("state_")]
    return Manifest(
        format=FORMAT,
        name=run.recipe.name,
        version=run.recipe.version,
        directions=[Direction(source=s, target=t) for s, t in run.recipe.corpus.directions],
        target_tags=_target_tags(run),
        architecture=_architecture(trained),
        encoder=encoder,
        step=step,
        state=[name.removesuffix("_NH") for name in states],
        variants={name: describe_variant(files, draft) for name, files in graphs.items()},
        tokenizer=_tokenizer(run, trained, draft),
        decoding=_decoding(run),
        scores=[],
        card=describe_file(draft / CARD, draft),
        provenance=_provenance(run, trained, parity),
    )


def write_draft(draft: Path, manifest: Manifest) -> None:
    """Write the card and the manifest, which lists it, over those that are there."""
    (draft / CARD).write_text(render_card(manifest), encoding="utf-8")
    manifest = manifest.model_copy(update={"card": describe_file(draft / CARD, draft)})
    (draft / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _target_tags(run: Run) -> dict[str, str]:
    targets = [target for _, target in run.recipe.corpus.directions]
    return {target: target_tag(target) for target in targets} if run.recipe.has_tags else {}


def _architecture(trained: Trained) -> Architecture:
    network = trained.networks[0].recipe
    return Architecture(
        cell=network.cell,
        delay=network.delay,
        attention=network.attention,
        attention_heads=network.attention_heads,
        attention_size=network.attention_size,
        embedding_size=network.embedding_size,
        encoder_layers=network.encoder_layers,
        encoder_size=network.encoder_size,
        decoder_layers=network.decoder_layers,
        decoder_size=network.decoder_size,
        layer_norm=network.layer_norm,
        residual=network.residual,
        context=network.context,
        summary=None if network.attends else network.summary,
        input_feeding=network.input_feeding,
        vocabulary_size=trained.tokenizer.size,
        parameters=trained.network.num_parameters,
    )


def _tokenizer(run: Run, trained: Trained, draft: Path) -> TokenizerInfo:
    recipe = run.recipe.tokenizer
    return TokenizerInfo(
        file=describe_file(draft / TOKENIZER, draft),
        kind=recipe.kind,
        size=trained.tokenizer.size,
        # Bytes would be words of their own to a vocabulary of words: it is trained without.
        byte_fallback=recipe.kind != "word",
        normalisation=recipe.normalisation,
        case=recipe.case,
    )


def _decoding(run: Run) -> Decoding:
    return Decoding(
        beam=1,
        length_penalty=min(run.recipe.export.length_penalties),
        max_source_tokens=run.recipe.export.max_source_tokens,
        max_target_factor=MAX_TARGET_FACTOR,
        max_target_extra=MAX_TARGET_EXTRA,
    )


def _provenance(run: Run, trained: Trained, parity: Parity) -> Provenance:
    versions = {name: str(importlib.import_module(name).__version__) for name in PACKAGES}
    return Provenance(
        created=datetime.now(UTC).date(),
        recipe=run.toml,
        recipe_sha256=run.sha256,
        data=trained.data,
        versions={"python": platform.python_version(), **versions},
        parity=parity,
        training=trained.training,
        init_from=trained.init_from,
        weights_from=trained.weights_from,
        distillation=trained.distillation,
        ensemble=list(trained.ensemble),
    )
