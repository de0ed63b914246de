"""The gate lets through graphs that follow their network, and no others."""

from itertools import product

import numpy as np
import pytest
import torch

from models.tokenizer import BOS, EOS
from tests.training.tiny_graphs import OPTIONS, own_options
from training.forms import CELLS
from training.graphs import write_graphs
from training.network import Network
from training.parity import check_parity
from training.recipe import NetworkRecipe
from training.weights import collect_weights, plan_of

V = 29
TOLERANCE = 1e-4


def make_network(cell="gru", attention="general", layers=1, tying="all", **changes):
    torch.manual_seed(3)
    network = Network(
        NetworkRecipe(
            cell=cell,
            attention=attention,
            embedding_size=12,
            encoder_layers=layers,
            encoder_size=8,
            decoder_layers=layers,
            decoder_size=16,
            tying=tying,
            dropout_embedding=0.5,
            dropout_layers=0.5,
            word_dropout=0.5,
            **changes,
        ),
        V,
    )
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.5)
    return network


def write(network, folder):
    return write_graphs(plan_of(network.recipe), collect_weights(network), folder)


@pytest.fixture
def network():
    return make_network()


@pytest.fixture
def pairs():
    random = np.random.default_rng(4)
    lengths = random.integers(0, 9, (20, 2))
    sentences = [[random.integers(4, V, n).tolist() for n in both] for both in lengths]
    return [([*source, EOS], [BOS, *target, EOS]) for source, target in sentences]


@pytest.mark.parametrize(
    ("cell", "attention", "layers", "tying"),
    [(*shape, "all") for shape in product(("gru", "lstm"), ("dot", "general", "additive"), (1, 2))]
    + [("gru", "general", 1, "decoder"), ("gru", "general", 1, "none")],
)
def test_graphs_of_every_network_follow_it(cell, attention, layers, tying, pairs, tmp_path):
    check_that_graphs_follow(make_network(cell, attention, layers, tying), pairs, tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"attention": "dot", "attention_heads": 2},
        {"attention": "general", "attention_heads": 4},
        {"attention": "additive", "attention_heads": 8},
        {"attention": "additive", "attention_size": 7},
        # sums of one head are divided: 2 heads of 2 x 68
        {"attention": "additive", "attention_heads": 2, "attention_size": 272},
    ],
    ids=lambda changes: "-".join(map(str, changes.values())),
)
def test_graphs_of_every_form_of_attention_follow_the_network(changes, pairs, tmp_path):
    check_that_graphs_follow(make_network(layers=2, **changes), pairs, tmp_path)


def check_that_graphs_follow(network, pairs, tmp_path):
    parity = check_parity(network, write(network, tmp_path), pairs, TOLERANCE)

    assert parity.max_logit_difference < 2e-5
    assert parity.sentences == len(pairs)
    assert parity.tokens == sum(len(target) - 1 for _, target in pairs)
    assert parity.ties == 0


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_graphs_of_every_cell_follow_it(cell, layers, pairs, tmp_path):
    network = make_network(cell, layers=layers, **own_options(cell))
    if cell == "elman-relu":  # without a bound, weights as great as these would make huge outputs
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(0.5)

    check_that_graphs_follow(network, pairs, tmp_path)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(
    "changes",
    [
        {"attention": "none", "summary": "state"},
        {"attention": "none", "summary": "input"},
        {"attention": "none", "summary": "both", "cell": "lstm"},
        {"attention": "general", "input_feeding": True},
        {"attention": "additive", "input_feeding": True, "cell": "lstm-peephole"},
    ],
    ids=lambda changes: "-".join(map(str, changes.values())),
)
def test_graphs_of_every_use_of_the_source_follow_the_network(changes, layers, pairs, tmp_path):
    check_that_graphs_follow(make_network(layers=layers, **changes), pairs, tmp_path)


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_graphs_of_layers_on_one_another_follow_them(cell, option, pairs, tmp_path):
    network = make_network(cell, "dot", 3, **OPTIONS[option], dropout_context=0.5, weight_drop=0.5)

    parity = check_parity(network, write(network, tmp_path), pairs, TOLERANCE)

    assert parity.max_logit_difference < 4e-5
    assert parity.ties == 0


@pytest.mark.parametrize(
    "name", ["output_bias", "decoder.0.hidden_bias", "encoder.0.forward.input_bias"]
)
def test_a_changed_weight_is_refused(name, network, pairs, tmp_path):
    weights = collect_weights(network)
    weights[name] = weights[name] + np.eye(1, len(weights[name]), 5, dtype=np.float32)[0]
    files = write_graphs(plan_of(network.recipe), weights, tmp_path)

    with pytest.raises(ValueError, match=r"parity: logits .* export\.tolerance is 0\.0001"):
        check_parity(network, files, pairs, TOLERANCE)


def test_weights_that_are_no_numbers_are_refused(network, pairs, tmp_path):
    with torch.no_grad():
        network.output.bias[7] = torch.nan
    files = write(network, tmp_path)

    with pytest.raises(ValueError, match="parity: logits"):
        check_parity(network, files, pairs, TOLERANCE)


@pytest.fixture
def twins(network):
    """A network that says one of two tokens at every step, and cannot tell them apart."""
    with torch.no_grad():
        network.output.weight[[20, 21]] = 0
        network.output.bias[[20, 21]] = 50.0
    return network


def twist(network, folder, *, first, second):
    """Write graphs in which the twins are a little likelier than in the network."""
    weights = collect_weights(network)
    bias_V = weights["output_bias"].copy()
    bias_V[20:22] += np.array([first, second], np.float32)
    return write_graphs(plan_of(network.recipe), {**weights, "output_bias": bias_V}, folder)


def test_other_tokens_at_ties_are_counted(twins, pairs, tmp_path):
    files = twist(twins, tmp_path, first=0.0, second=TOLERANCE / 2)

    parity = check_parity(twins, files, pairs, TOLERANCE)

    assert parity.ties == len(pairs)


def test_other_tokens_without_a_tie_are_refused_though_all_logits_agree(twins, pairs, tmp_path):
    with torch.no_grad():
        twins.output.bias[20] += 1.5 * TOLERANCE
    files = twist(twins, tmp_path, first=-0.9 * TOLERANCE, second=0.9 * TOLERANCE)

    with pytest.raises(ValueError, match=r"choose different tokens .* 0\.00015 apart"):
        check_parity(twins, files, pairs, TOLERANCE)
