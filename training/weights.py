"""A trained network's weights as the graphs' builder wants them: NumPy arrays by its names."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.graphs import GraphFiles, Plan, write_graphs
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
    names = {name: theirs for name, theirs in NAMES.items() if theirs in state}
    ways = {"forward": "forwards", "backward": "backwards"}
    layers = {
        f"encoder.{layer}.{way}": f"encoder.layers.{layer}.{module}"
        for layer in range(network.recipe.encoder_layers)
        for way, module in ways.items()
    }
    for layer in range(network.recipe.decoder_layers):
        layers[f"decoder.{layer}"] = f"decoder.layers.{layer}"
        for part in ("weight", "bias"):
            names[f"initial.{layer}.{part}"] = f"decoder.start.{layer}.{part}"
    for name, module in layers.items():
        for part, theirs in LAYER_NAMES.items():
            names[f"{name}.{part}"] = f"{module}.rnn.{theirs}"
    return {name: state[theirs].float().cpu().numpy() for name, theirs in names.items()}


def plan_of(recipe: NetworkRecipe) -> Plan:
    """Return what the graphs' builder needs to know besides the weights."""
    return Plan(recipe.cell, recipe.attention, recipe.encoder_layers, recipe.decoder_layers)


def write_variant(network: Network, folder: Path) -> GraphFiles:
    """Write a network's graphs and weights, in single precision, to a new folder."""
    folder.mkdir(parents=True)
    return write_graphs(plan_of(network.recipe), collect_weights(network), folder)
