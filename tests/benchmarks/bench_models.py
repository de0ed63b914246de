"""Networks of the sizes that are compared here, with random weights: they know nothing.

Speed does not depend on what the weights are, but on how long the sentences get: EOS is never
chosen, so that each sentence has as many tokens as its limit allows.

Shapes: D the size of one direction of the encoder, I inputs of a layer; the other letters are
those of `models/README.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

from models.bundle import Bundle, Manifest
from models.shortlist import Shortlists
from models.tokenizer import EOS
from training.graph_reader import describe_variant
from training.graphs import Plan, Precision, write_graphs

NEVER = -1e4
"""Bias of EOS."""
SPECIALS = 4
"""Ids below are padding, BOS, EOS and unknown."""


@dataclass(frozen=True)
class Sizes:
    """The shape of a network."""

    plan: Plan
    embedding: int
    encoder: int
    """Of one direction."""
    decoder: int
    attention: int

    @property
    def memory(self) -> int:
        """M: both directions side by side."""
        return 2 * self.encoder


MODEL_L = Sizes(Plan("gru", "general", encoder_layers=2, decoder_layers=1), 512, 256, 512, 512)
"""After Luong et al. 2015, without input feeding."""
MODEL_M = Sizes(Plan("gru", "additive", encoder_layers=1, decoder_layers=2), 512, 512, 512, 1024)
"""As near as may be to Marian's s2s: two cells, attention between them."""


@dataclass(frozen=True)
class Work:
    """Multiply-adds of the matrix products; elementwise operations are not counted."""

    source_token: int
    target_token: int
    """Of one row; attention over 14 source positions included."""


def work_of(sizes: Sizes, vocabulary: int, positions: int = 14) -> Work:
    """Count what one source token and one target token cost."""
    gates = 3 if sizes.plan.cell == "gru" else 4
    e, d, h, m = sizes.embedding, sizes.encoder, sizes.decoder, sizes.memory
    inputs = [e] + [m] * (sizes.plan.encoder_layers - 1)
    source = sum(2 * gates * d * (each + d) for each in inputs) + m * sizes.attention
    inputs = [e] + [h + m] * (sizes.plan.decoder_layers - 1)
    target = sum(gates * h * (each + h) for each in inputs)
    if sizes.plan.attention == "additive":
        target += h * sizes.attention
    target += positions * (sizes.attention + m)
    target += (h + m + e) * e + e * vocabulary
    return Work(source, target)


def random_weights(sizes: Sizes, vocabulary: int, seed: int) -> Mapping[str, NDArray[np.float32]]:
    """Draw weights that keep activations in the range that trained ones have."""
    shapes = _shapes(sizes, vocabulary)
    draw = np.random.default_rng(seed)
    weights = {
        # Twice what keeps the variance, else a network that knows nothing soon repeats itself,
        # and the engine stops sentences that do.
        name: draw.normal(size=shape, scale=2 * shape[-1] ** -0.5).astype(np.float32)
        for name, shape in shapes.items()
    }
    weights["output_embedding"] = weights["target_embedding"]
    weights["output_bias"][EOS] = NEVER
    return weights


def build_bundle(
    folder: Path,
    sizes: Sizes,
    vocabulary: int = 8000,
    seed: int = 0,
    shortlists: Shortlists | None = None,
) -> Bundle:
    """Write a network's graphs; return a bundle that sessions can be opened on.

    Only what sessions ask for is in its manifest, so it can be neither published nor opened.

    Args:
        shortlists: Those of int8.
    """
    weights = random_weights(sizes, vocabulary, seed)
    variants = {}
    precisions: tuple[Precision, ...] = ("fp32", "int8")
    for precision in precisions:
        (folder / precision).mkdir(parents=True)
        own = shortlists if precision == "int8" else None
        files = write_graphs(sizes.plan, weights, folder / precision, precision, shortlists=own)
        variants[precision] = describe_variant(files, folder)
    states = [f"state_{i}" for i in range(sizes.plan.num_states)]
    manifest = Manifest.model_construct(
        name="random",
        version=1,
        state=states,
        variants=variants,
        tokenizer=SimpleNamespace(size=vocabulary),
    )
    return Bundle(folder, manifest)


def count_parameters(sizes: Sizes, vocabulary: int) -> int:
    """Return how many weights there are; tied tables count once."""
    return sum(int(np.prod(shape)) for shape in _shapes(sizes, vocabulary).values())


def _shapes(sizes: Sizes, vocabulary: int) -> dict[str, tuple[int, ...]]:
    """All weights but `output_embedding`, which is the target's."""
    plan, e, d, h, m = sizes.plan, sizes.embedding, sizes.encoder, sizes.decoder, sizes.memory
    gates = 3 if plan.cell == "gru" else 4
    layers = {
        f"encoder.{layer}.{way}": (d, e if layer == 0 else m)
        for layer in range(plan.encoder_layers)
        for way in ("forward", "backward")
    }
    layers |= {
        f"decoder.{layer}": (h, e if layer == 0 else h + m) for layer in range(plan.decoder_layers)
    }
    shapes: dict[str, tuple[int, ...]] = {
        "source_embedding": (vocabulary, e),
        "target_embedding": (vocabulary, e),
        "output_bias": (vocabulary,),
        "keys.weight": (sizes.attention, m),
        "readout.weight": (e, h + m + e),
        "readout.bias": (e,),
    }
    if plan.attention == "additive":
        shapes["keys.bias"] = (sizes.attention,)
        shapes["query.weight"] = (sizes.attention, h)
        shapes["score.weight"] = (1, sizes.attention)
    for layer in range(plan.decoder_layers):
        shapes |= {f"initial.{layer}.weight": (h, m), f"initial.{layer}.bias": (h,)}
    for name, (size, inputs) in layers.items():
        shapes |= {
            f"{name}.input_weight": (gates * size, inputs),
            f"{name}.hidden_weight": (gates * size, size),
            f"{name}.input_bias": (gates * size,),
            f"{name}.hidden_bias": (gates * size,),
        }
    return shapes
