"""Weights survive being written as graphs and read back."""

from itertools import product

import numpy as np
import pytest
import torch

from tests.conftest import DEEP
from tests.training.tiny_graphs import OPTIONS, own_options
from training.forms import CELLS
from training.graph_reader import files_of_bundle, plan_of_bundle, read_weights
from training.graphs import Plan, write_graphs
from training.network import Network
from training.recipe import NetworkRecipe
from training.weights import build_network, collect_weights, plan_of

SHAPES = [
    *product(("gru", "lstm"), ("dot", "general", "additive"), (1, 2), ("all",)),
    ("gru", "general", 1, "decoder"),
    ("lstm", "additive", 1, "none"),
]
HEADED = [
    {"attention": "dot", "attention_heads": 4},
    {"attention": "general", "attention_heads": 2},
    {"attention": "additive", "attention_heads": 2, "attention_size": 272},
]


def make_network(cell="gru", attention="general", layers=1, tying="all", **changes):
    torch.manual_seed(5)
    recipe = NetworkRecipe(
        cell=cell,
        attention=attention,
        embedding_size=12,
        encoder_layers=layers,
        encoder_size=8,
        decoder_layers=layers,
        decoder_size=16,
        tying=tying,
        **changes,
    )
    network = Network(recipe, 29)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_()
    return network


def with_one_bias(weights, plan):
    """Add the two biases of each part of a cell whose products are joined or summed first."""
    joined, names = dict(weights), [f"decoder.{layer}" for layer in range(plan.decoder_layers)]
    if plan.form.operator is None:
        layers = range(plan.encoder_layers)
        names += [f"encoder.{layer}.{way}" for layer in layers for way in ("forward", "backward")]
    for name in names:
        mine, other = (weights[f"{name}.{side}_bias"].copy() for side in ("input", "hidden"))
        # a GRU's new part keeps both: the reset gate comes between
        added = slice(2 * len(mine) // 3) if plan.form.operator == "GRU" else slice(None)
        mine[added] += other[added]
        other[added] = 0
        joined |= {f"{name}.input_bias": mine, f"{name}.hidden_bias": other}
    return joined


@pytest.mark.parametrize(("cell", "attention", "layers", "tying"), SHAPES)
def test_weights_of_every_network_come_back(cell, attention, layers, tying, tmp_path):
    check_round_trip(make_network(cell, attention, layers, tying), tmp_path)


@pytest.mark.parametrize("changes", HEADED, ids=lambda changes: changes["attention"])
def test_weights_of_several_heads_come_back(changes, tmp_path):
    check_round_trip(make_network(**changes), tmp_path)


def check_round_trip(network, folder):
    plan, weights = plan_of(network.recipe), collect_weights(network)

    read = read_weights(plan, write_graphs(plan, weights, folder))

    expected = with_one_bias(weights, plan)
    assert read.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(read[name], values, err_msg=name)


@pytest.mark.parametrize(
    "changes",
    [
        {"attention": "none", "summary": "state"},
        {"attention": "none", "summary": "input", "cell": "skip", "delay": 2},
        {"attention": "none", "summary": "both", "cell": "lstm"},
        {"attention": "additive", "input_feeding": True},
    ],
    ids=lambda changes: "-".join(map(str, changes.values())),
)
def test_weights_of_every_use_of_the_source_come_back(changes, tmp_path):
    check_round_trip(make_network(layers=2, **changes), tmp_path)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_weights_of_every_cell_come_back_and_make_the_same_network(cell, layers, tmp_path):
    network = make_network(cell, layers=layers, **own_options(cell))
    check_round_trip(network, tmp_path)
    plan = plan_of(network.recipe)
    files = write_graphs(plan, collect_weights(network), tmp_path)

    again = build_network(network.recipe, read_weights(plan, files))

    source_BS, lengths_B = torch.randint(3, 29, (3, 5)), torch.tensor([5, 2, 4])
    torch.testing.assert_close(
        again.eval().logits(source_BS, lengths_B, source_BS),
        network.eval().logits(source_BS, lengths_B, source_BS),
        # a sum of biases is rounded otherwise, and great weights make much of it
        atol=1e-3,
        rtol=1e-3,
    )


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_weights_of_layers_on_one_another_come_back(cell, option, tmp_path):
    network = make_network(cell, "additive", 4, "all", **OPTIONS[option])
    plan, weights = plan_of(network.recipe), collect_weights(network)

    read = read_weights(plan, write_graphs(plan, weights, tmp_path))

    expected = with_one_bias(weights, plan)
    assert read.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(read[name], values, err_msg=name)
    again = collect_weights(build_network(network.recipe, read))
    assert all(np.array_equal(again[name], values) for name, values in read.items())


def test_weights_that_lie_in_the_file_once_come_back_under_each_name(tmp_path):
    network = make_network("gru", "additive", 2, "all")
    plan, weights = plan_of(network.recipe), collect_weights(network)
    weights = {name: np.zeros_like(values) for name, values in weights.items()}

    read = read_weights(plan, write_graphs(plan, weights, tmp_path))

    assert {name: values.shape for name, values in read.items()} == {
        name: values.shape for name, values in weights.items()
    }


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_same_graphs_are_written_again(cell, tmp_path):
    network = make_network(cell, "general", 2, "all")
    plan = plan_of(network.recipe)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()

    first = write_graphs(plan, collect_weights(network), tmp_path / "first")
    second = write_graphs(plan, read_weights(plan, first), tmp_path / "second")

    for mine, theirs in zip(astuple(first), astuple(second), strict=True):
        assert mine.read_bytes() == theirs.read_bytes()


def astuple(files):
    return files.encoder, files.step, files.weights


def test_plan_of_a_published_bundle_tells_how_its_layers_stand_on_one_another(deep_bundle):
    assert plan_of_bundle(deep_bundle) == DEEP


def test_published_bundle_tells_its_plan_and_weights(tiny_bundle):
    plan = plan_of_bundle(tiny_bundle)

    weights = read_weights(plan, files_of_bundle(tiny_bundle))

    shape = tiny_bundle.manifest.architecture
    assert weights["source_embedding"].shape == (shape.vocabulary_size, shape.embedding_size)
    assert weights["readout.bias"].shape == (shape.embedding_size,)


def test_graphs_of_another_plan_are_refused(tiny_bundle):
    with pytest.raises(ValueError, match="the graphs lack"):
        read_weights(Plan("gru", "general", 7, 2), files_of_bundle(tiny_bundle))
