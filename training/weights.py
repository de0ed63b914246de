"""A network's weights as the graphs' builder wants them, NumPy arrays by its names, and back."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.shortlist import Shortlists
from training.cells import Layer, own_weights
from training.ensemble import Ensemble
from training.graphs import GraphFiles, Plan, Precision, Weights, write_ensemble, write_graphs
from training.network import Network
from training.recipe import NetworkRecipe

NAMES = {
    "source_embedding": "source_embedding.weight",
    "target_embedding": "target_embedding.weight",
    "output_embedding": "output.weight",
    "output_bias": "output.bias",
    "keys.weight": "decoder.attention.key.weight",
    "keys.bias": "decoder.attention.key.bias",
    "query.weight": "decoder.attention.query.weight",
    "score.weight": "decoder.attention.score.weight",
    "readout.weight": "decoder.readout.weight",
    "readout.bias": "decoder.readout.bias",
}


def collect_weights(network: Network) -> dict[str, NDArray[np.float32]]:
    """Return a network's weights by the names that `graphs.py` gives them."""
    state = network.state_dict()
    weights = {
        name: state[theirs] for name, theirs in _names(network.recipe).items() if theirs in state
    }
    for name, path in _layers(network.recipe).items():
        layer = network.get_submodule(path)
        assert isinstance(layer, Layer)
        weights |= {f"{name}.{part}": each for part, each in layer.form_weights().items()}
    return {name: values.detach().float().cpu().numpy() for name, values in weights.items()}


def build_network(recipe: NetworkRecipe, weights: Weights) -> Network:
    """Return a network with the weights of a bundle: what `collect_weights` does, undone.

    Raises:
        ValueError: the weights are not those of such a network.
    """
    network = Network(recipe, len(weights["output_bias"]))
    names, layers = _names(recipe), _layers(recipe)
    state: dict[str, Tensor] = {}
    of_layers: dict[str, dict[str, Tensor]] = {name: {} for name in layers}
    try:
        for name, values in weights.items():
            layer, _, part = name.rpartition(".")
            if layer in layers:
                of_layers[layer][part] = torch.from_numpy(values.copy())
            else:
                state[names[name]] = torch.from_numpy(values.copy())
        for name, path in layers.items():
            own = own_weights(recipe.cell, of_layers[name])
            state |= {f"{path}.rnn.{theirs}": each for theirs, each in own.items()}
        network.load_state_dict(state)
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"network does not fit the weights: {error}") from None
    return network


def write_network(
    network: Network | Ensemble,
    folder: Path,
    precision: Precision,
    *,
    positions: int | None = None,
    shortlists: Shortlists | None = None,
) -> GraphFiles:
    """Write the graphs of a network, or of several that translate together.

    The arguments are those of `write_graphs`; an ensemble has no shortlists.
    """
    if isinstance(network, Ensemble):
        assert shortlists is None, "an ensemble has no shortlists"
        members = [(plan_of(each.recipe), collect_weights(each)) for each in network.networks]
        return write_ensemble(members, folder, precision, positions=positions)
    parts = plan_of(network.recipe), collect_weights(network), folder, precision
    return write_graphs(*parts, positions=positions, shortlists=shortlists)


def plan_of(recipe: NetworkRecipe) -> Plan:
    """Return what the graphs' builder needs to know besides the weights."""
    return Plan(
        recipe.cell,
        recipe.attention,
        recipe.encoder_layers,
        recipe.decoder_layers,
        attention_heads=recipe.attention_heads,
        layer_norm=recipe.layer_norm,
        residual=recipe.residual,
        context=recipe.context,
        delay=recipe.delay or 1,
        summary=recipe.summary,
        input_feeding=recipe.input_feeding,
    )


def _names(recipe: NetworkRecipe) -> dict[str, str]:
    """Return the network's own names by those of the graphs' builder, but for its cells'."""
    names = dict(NAMES)
    for layer in range(recipe.decoder_layers):
        for part in ("weight", "bias"):
            names[f"initial.{layer}.{part}"] = f"decoder.start.{layer}.{part}"
    return names


def _layers(recipe: NetworkRecipe) -> dict[str, str]:
    """Return where a network has the layers whose weights' names begin so."""
    ways = {"forward": "forwards", "backward": "backwards"}
    layers = {
        f"encoder.{layer}.{way}": f"encoder.layers.{layer}.{module}"
        for layer in range(recipe.encoder_layers)
        for way, module in ways.items()
    }
    return layers | {
        f"decoder.{layer}": f"decoder.layers.{layer}" for layer in range(recipe.decoder_layers)
    }
