"""A network's weights as the graphs' builder wants them, NumPy arrays by its names, and back."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.shortlist import Shortlists
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
LAYER_NAMES = {
    "input_weight": "weight_ih_l0",
    "hidden_weight": "weight_hh_l0",
    "input_bias": "bias_ih_l0",
    "hidden_bias": "bias_hh_l0",
}


def collect_weights(network: Network) -> dict[str, NDArray[np.float32]]:
    """Return a network's weights by the names that `graphs.py` gives them."""
    state = network.state_dict()
    return {
        name: state[theirs].float().cpu().numpy()
        for name, theirs in _names(network.recipe).items()
        if theirs in state
    }


def build_network(recipe: NetworkRecipe, weights: Weights) -> Network:
    """Return a network with the weights of a bundle: what `collect_weights` does, undone.

    Raises:
        ValueError: the weights are not those of such a network.
    """
    network = Network(recipe, len(weights["output_bias"]))
    names = _names(recipe)
    try:
        state = {names[name]: torch.from_numpy(values.copy()) for name, values in weights.items()}
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
    )


def _names(recipe: NetworkRecipe) -> dict[str, str]:
    """Return the network's own names by those of the graphs' builder, for any attention."""
    names = dict(NAMES)
    ways = {"forward": "forwards", "backward": "backwards"}
    layers = {
        f"encoder.{layer}.{way}": f"encoder.layers.{layer}.{module}"
        for layer in range(recipe.encoder_layers)
        for way, module in ways.items()
    }
    for layer in range(recipe.decoder_layers):
        layers[f"decoder.{layer}"] = f"decoder.layers.{layer}"
        for part in ("weight", "bias"):
            names[f"initial.{layer}.{part}"] = f"decoder.start.{layer}.{part}"
    for name, module in layers.items():
        for part, theirs in LAYER_NAMES.items():
            names[f"{name}.{part}"] = f"{module}.rnn.{theirs}"
    return names
