"""What tests of several packages share."""

import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.bundle import (
    FORMAT,
    MANIFEST,
    Architecture,
    Bundle,
    Decoding,
    Direction,
    Manifest,
    Parity,
    Provenance,
    TokenizerInfo,
    Training,
    VariantName,
    describe_file,
    publish,
)
from models.shortlist import Shortlists
from models.tokenizer import EOS, Tokenizer, target_tag
from training.graph_reader import describe_graph, describe_variant
from training.graphs import GraphFiles, Plan, write_graphs

DATABASE = os.environ.get("DRAGOMAN_TEST_DATABASE")


def pytest_configure(config):
    # Who starts others to run the tests hands it on to them; whoever runs tests takes it out of the
    # environment, where the program refuses variables that it does not know.
    if not getattr(config.option, "numprocesses", None) or hasattr(config, "workerinput"):
        os.environ.pop("DRAGOMAN_TEST_DATABASE", None)
    # A shell lets what it starts in the background ignore SIGINT, and so would what tests start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


LANGUAGES = ("de", "en")
SENTENCES = [
    "Guten Morgen. Wie geht es dir?",
    "Das Haus ist klein, aber schön.",
    "Ich sehe einen Hund und zwei Katzen.",
    "Good morning. How are you?",
    "The house is small but beautiful.",
    "I see a dog and two cats.",
]
PLAN = Plan("gru", "general", encoder_layers=1, decoder_layers=2)
DEEP = Plan(
    "lstm", "general", 3, 3, attention_heads=4, layer_norm=True, residual=True, context="first"
)
E, D, H = 24, 16, 32
"""Sizes of embeddings, of an encoder direction and of the decoder."""
EOS_BIAS = 4.5
"""Else sentences of a network that knows nothing would hardly ever end."""

DECODING = Decoding(
    beam=2, length_penalty=1.0, max_source_tokens=24, max_target_factor=1.5, max_target_extra=4
)
PROVENANCE = Provenance(
    created=date(2026, 1, 1),
    recipe="",
    recipe_sha256="0" * 64,
    data=[],
    versions={},
    parity=Parity(max_logit_difference=0, tolerance=0, sentences=1, tokens=1, ties=0),
    training=Training(minutes=0, machine="none", steps=1, epochs=0),
)


def random_weights(plan: Plan, vocabulary: int) -> Mapping[str, NDArray[np.float32]]:
    """Draw the weights of a network with general attention."""
    random = np.random.default_rng(2)
    gates = {"gru": 3, "lstm": 4}[plan.cell]
    sizes = {
        f"encoder.{layer}.{way}": (D, E if layer == 0 else 2 * D)
        for layer in range(plan.encoder_layers)
        for way in ("forward", "backward")
    }
    sizes |= {
        f"decoder.{layer}": (H, E if layer == 0 else H + 2 * D * plan.reads_context(layer))
        for layer in range(plan.decoder_layers)
    }
    shapes: dict[str, tuple[int, ...]] = {
        "output_bias": (vocabulary,),
        "keys.weight": (H, 2 * D),
        "readout.weight": (E, H + 2 * D + E),
        "readout.bias": (E,),
    }
    for layer in range(plan.decoder_layers):
        shapes |= {f"initial.{layer}.weight": (H, 2 * D), f"initial.{layer}.bias": (H,)}
    for name, (size, inputs) in sizes.items():
        shapes |= {
            f"{name}.input_weight": (gates * size, inputs),
            f"{name}.hidden_weight": (gates * size, size),
            f"{name}.input_bias": (gates * size,),
            f"{name}.hidden_bias": (gates * size,),
        }
    shapes |= dict.fromkeys(("source_embedding", "target_embedding"), (vocabulary, E))
    weights = {name: random.normal(size=shape, scale=0.5) for name, shape in shapes.items()}
    weights["output_embedding"] = weights["target_embedding"]
    weights["output_bias"][EOS] += EOS_BIAS
    return {name: values.astype(np.float32) for name, values in weights.items()}


def publish_bundle(
    root: Path,
    draft: Path,
    name: str,
    *,
    version: int = 1,
    plan: Plan = PLAN,
    variants: Sequence[VariantName] = ("fp32",),
    with_shortlists: bool = False,
) -> Bundle:
    """Publish a bundle of the current format that knows nothing, but works."""
    tags = {language: target_tag(language) for language in LANGUAGES}
    tokenizer = Tokenizer.train(
        SENTENCES, kind="bpe", size=330, normalisation="NFC", tags=list(tags.values())
    )
    draft.mkdir(parents=True)
    tokenizer.save(draft / "tokenizer.model")
    (draft / "card.md").write_text("# Tiny\n", encoding="utf-8")
    weights = random_weights(plan, tokenizer.size)
    shortlists = random_shortlists(tokenizer.size) if with_shortlists else None
    graphs = write_variants(plan, weights, draft, variants, shortlists)
    encoder, step = describe_graph(graphs["fp32"].encoder), describe_graph(graphs["fp32"].step)
    manifest = Manifest(
        format=FORMAT,
        name=name,
        version=version,
        directions=[Direction(source="de", target="en"), Direction(source="en", target="de")],
        target_tags=tags,
        architecture=describe_network(plan, weights),
        encoder=encoder,
        step=step,
        state=[each.removesuffix("_NH") for each in encoder.outputs if each.startswith("state")],
        variants={name: describe_variant(files, draft) for name, files in graphs.items()},
        tokenizer=TokenizerInfo(
            file=describe_file(draft / "tokenizer.model", draft),
            kind="bpe",
            size=tokenizer.size,
            byte_fallback=True,
            normalisation="NFC",
        ),
        decoding=DECODING,
        scores=[],
        card=describe_file(draft / "card.md", draft),
        provenance=PROVENANCE,
    )
    text = json.dumps(manifest.model_dump(mode="json"))
    (draft / MANIFEST).write_text(text, encoding="utf-8")
    return publish(draft, root)


def write_variants(
    plan: Plan,
    weights: Mapping[str, NDArray[np.float32]],
    draft: Path,
    names: Sequence[VariantName],
    shortlists: Shortlists | None = None,
) -> dict[VariantName, GraphFiles]:
    """Write the graphs; the shortlists are those of int8."""
    graphs: dict[VariantName, GraphFiles] = {}
    for name in names:
        (draft / name).mkdir()
        own = shortlists if name == "int8" else None
        graphs[name] = write_graphs(plan, weights, draft / name, name, shortlists=own)
    return graphs


def random_shortlists(vocabulary: int) -> Shortlists:
    """Draw rows of 4 tokens besides EOS, of which there may be fewer."""
    random = np.random.default_rng(3)
    rows = [{EOS, *random.integers(4, vocabulary, 4).tolist()} for _ in range(vocabulary)]
    ids = np.array([id for row in rows for id in sorted(row)], np.int32)
    return Shortlists(ids, np.cumsum([0, *map(len, rows)]))


def describe_network(plan: Plan, weights: Mapping[str, NDArray[np.float32]]) -> Architecture:
    return Architecture(
        cell=plan.cell,
        attention=plan.attention,
        attention_heads=plan.attention_heads,
        embedding_size=E,
        encoder_layers=plan.encoder_layers,
        encoder_size=D,
        decoder_layers=plan.decoder_layers,
        decoder_size=H,
        layer_norm=plan.layer_norm,
        residual=plan.residual,
        context=plan.context,
        vocabulary_size=len(weights["output_bias"]),
        parameters=sum(values.size for values in weights.values()),
    )


@pytest.fixture(scope="session", autouse=True)
def state_home(tmp_path_factory) -> Iterator[None]:
    """Keep what services write by default out of the home of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory) -> Bundle:
    """A published bundle for de-en and en-de with random weights, in a folder of its own."""
    folder = tmp_path_factory.mktemp("tiny")
    return publish_bundle(folder / "bundles", folder / "draft", "tiny")


@pytest.fixture(scope="session")
def varied_bundle(tmp_path_factory) -> Bundle:
    """The network of `tiny_bundle` in all its variants."""
    folder = tmp_path_factory.mktemp("varied")
    names = ("fp32", "int8", "fp16")
    return publish_bundle(folder / "bundles", folder / "draft", "varied", variants=names)


@pytest.fixture(scope="session")
def listed_bundle(tmp_path_factory) -> Bundle:
    """The network of `tiny_bundle` in int8 too, with random shortlists."""
    folder = tmp_path_factory.mktemp("listed")
    return publish_bundle(
        folder / "bundles",
        folder / "draft",
        "listed",
        variants=("fp32", "int8"),
        with_shortlists=True,
    )


@pytest.fixture(scope="session")
def deep_bundle(tmp_path_factory) -> Bundle:
    """Layers that stand on one another with all options, in int8 with random shortlists too."""
    folder = tmp_path_factory.mktemp("deep")
    return publish_bundle(
        folder / "bundles",
        folder / "draft",
        "deep",
        plan=DEEP,
        variants=("fp32", "int8"),
        with_shortlists=True,
    )


@pytest.fixture(scope="session")
def database_url() -> str:
    """The PostgreSQL database of `DRAGOMAN_TEST_DATABASE`; without one, the test is skipped."""
    if not DATABASE:
        pytest.skip("DRAGOMAN_TEST_DATABASE names no database")
    return DATABASE
