"""What layers pass on, and the graphs of all variants against PyTorch with each option of it."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
import torch

from models.tokenizer import EOS, PAD
from tests.conftest import random_shortlists
from tests.training.tiny_graphs import OPTIONS, Graphs, open_graph
from training.batches import pad
from training.depth import pass_on
from training.graphs import write_graphs
from training.network import Network
from training.recipe import NetworkRecipe
from training.weights import collect_weights, plan_of

V = 60
LENGTHS = [7, 1, 4, 10]
CPU = torch.device("cpu")
# The worst difference of a log-probability and the mean one; these spread by 0.8 to 2 nats.
TOLERANCES = {"fp32": (1e-5, 1e-6), "fp16": (1e-2, 2e-3), "int8": (0.45, 0.1)}
SHAPES = [
    *product(("gru", "lstm"), (1, 2, 3), ("norm", "residual", "all")),
    *product(("gru", "lstm"), (3,), ("first",)),
    ("gru", 4, "all"),
]
ALL = pytest.mark.parametrize(("cell", "layers", "option"), SHAPES)


def describe(cell="gru", layers=2, attention="additive", **changes):
    return NetworkRecipe(
        cell=cell,
        attention=attention,
        embedding_size=32,
        encoder_layers=layers,
        encoder_size=32,
        decoder_layers=layers,
        decoder_size=64,
        tying="all",
        **changes,
    )


def make_network(recipe):
    """Draw a network that tells tokens apart, with weights as even as trained ones are."""
    torch.manual_seed(3)
    network = Network(recipe, V).eval()
    with torch.no_grad():
        network.output.weight.mul_(4)
        for name, parameter in network.named_parameters():
            if "bias" in name:
                parameter.normal_(std=0.1)
    return network


@dataclass
class Rows:
    """PyTorch's decoder, one target position at a time, for rows in any order."""

    network: Network
    memory: object
    states: tuple

    @classmethod
    def of(cls, network, sources):
        return cls(network, *network.encode(*pad(sources, CPU)))

    def step(self, parents_NK, tokens_NK):
        """Return log-probabilities, attention and the states of all rows."""
        parents_B = torch.from_numpy(parents_NK).flatten()
        sentence_B = torch.arange(len(parents_NK)).repeat_interleave(parents_NK.shape[1])
        memory = type(self.memory)(
            self.memory.keys_BSA[sentence_B],
            self.memory.memory_BSM[sentence_B],
            self.memory.mask_BS[sentence_B],
        )
        states = tuple(tuple(each[parents_B] for each in state) for state in self.states)
        tokens_B1 = torch.from_numpy(tokens_NK).reshape(-1, 1)
        readout_B1E, weights_B1S, self.states = self.network.decode(tokens_B1, memory, states)
        logits_BV = self.network.output(readout_B1E)[:, 0]
        flat = [each for state in self.states for each in state]
        return logits_BV, weights_B1S[:, 0], flat


@pytest.fixture
def layers():
    torch.manual_seed(4)
    return torch.randn(3, 2, 5, 8).tanh()


def test_plain_layers_pass_on_their_outputs(layers):
    for out_BTD in layers:
        assert all(each is out_BTD for each in pass_on(describe(), out_BTD, layers[0]))


def test_residual_layers_add_to_what_those_below_gave(layers):
    sum_BTD = None
    for i, out_BTD in enumerate(layers):
        sum_BTD, read_BTD = pass_on(describe(residual=True), out_BTD, sum_BTD)
        torch.testing.assert_close(sum_BTD, layers[: i + 1].sum(0))
        assert read_BTD is sum_BTD


@pytest.mark.parametrize("is_residual", [False, True])
def test_what_is_read_is_normalised_at_each_position_and_what_is_added_to_is_not(
    layers, is_residual
):
    recipe = describe(layer_norm=True, residual=is_residual)

    sum_BTD, read_BTD = pass_on(recipe, layers[1], layers[0])

    expected_BTD = layers[0] + layers[1] if is_residual else layers[1]
    torch.testing.assert_close(sum_BTD, expected_BTD)
    centred_BTD = expected_BTD - expected_BTD.mean(-1, keepdim=True)
    deviation_BT1 = centred_BTD.square().mean(-1, keepdim=True).sqrt()
    torch.testing.assert_close(read_BTD, centred_BTD / deviation_BT1, atol=1e-3, rtol=0)


def test_normalised_memory_of_padding_is_zero_in_floating_point(tmp_path):
    network, sources = make_network(describe(**OPTIONS["all"])), random_sources()
    plan, weights = plan_of(network.recipe), collect_weights(network)

    (_, memory_NSM, mask_NS), _ = encode(Graphs(write_graphs(plan, weights, tmp_path)), sources)

    assert not memory_NSM[mask_NS < 0].any()
    assert memory_NSM[mask_NS == 0].any(axis=1).all()


def random_sources():
    random = np.random.default_rng(1)
    return [[*random.integers(4, V, length).tolist(), EOS] for length in LENGTHS]


def random_rows(random, num_rows, known):
    shape = len(LENGTHS), num_rows
    return random.integers(0, known, shape), random.integers(4, V, shape)


def assert_close(actual, expected, precision):
    difference = np.abs(actual - expected)
    assert difference.max() <= TOLERANCES[precision][0]
    assert difference.mean() <= TOLERANCES[precision][1]


def encode(graphs, sources):
    source_NS, lengths_N = pad(sources, CPU)
    return graphs.encode(source_NS.numpy(), lengths_N.numpy().astype(np.int32))


def follow(graphs, network, sources, precision, may_follow_NV=None):
    """Let graphs and network take the same steps, with 3, 2 and 1 rows, and compare them."""
    rows, random, known = Rows.of(network, sources), np.random.default_rng(2), len(sources)
    memory, states = encode(graphs, sources)
    count = V if may_follow_NV is None else min(may_follow_NV.sum(axis=1))
    for num_rows in (3, 2, 1):
        parents_NK, tokens_NK = random_rows(random, num_rows, known)
        logits_BV, weights_BS, expected = rows.step(parents_NK, tokens_NK)
        if may_follow_NV is not None:
            may_follow_BV = torch.from_numpy(may_follow_NV).repeat_interleave(num_rows, 0)
            logits_BV = logits_BV.where(may_follow_BV, -torch.inf)
        scores_BC, tokens_BC, attention_BS, states = graphs.step(
            memory, states, parents_NK, tokens_NK, count
        )
        known = len(scores_BC)

        scores_BV = logits_BV.log_softmax(-1).numpy()
        assert_close(scores_BC, np.take_along_axis(scores_BV, tokens_BC, 1), precision)
        np.testing.assert_allclose(attention_BS, weights_BS, atol=TOLERANCES[precision][1])
        for state, wanted in zip(states, expected, strict=True):
            np.testing.assert_allclose(state, wanted, atol=TOLERANCES[precision][0])


@ALL
@pytest.mark.parametrize("precision", TOLERANCES)
@torch.inference_mode()
def test_graphs_follow_pytorch_for_beams_in_every_variant(
    precision, cell, layers, option, tmp_path
):
    network = make_network(describe(cell, layers, **OPTIONS[option]))
    plan, weights = plan_of(network.recipe), collect_weights(network)

    files = write_graphs(plan, weights, tmp_path, precision)

    follow(Graphs(files), network, random_sources(), precision)


class ListedStep:
    """The step over shortlists, run as the plain step is."""

    def __init__(self, files, may_follow_NV):
        self.session = open_graph(files.shortlist_step)
        lists = [np.flatnonzero(may_follow_V) for may_follow_V in may_follow_NV]
        shortlist_NX = np.full((len(lists), max(map(len, lists))), PAD)
        for shortlist_X, each in zip(shortlist_NX, lists, strict=True):
            shortlist_X[: len(each)] = each
        ids_U = np.unique(shortlist_NX)
        columns = open_graph(files.columns)
        values = columns.run(None, {"ids_U": ids_U})
        names = [output.name for output in columns.get_outputs()]
        self.feed = {"shortlist_NX": shortlist_NX, **dict(zip(names, values, strict=True))}
        self.places_NX = np.searchsorted(ids_U, shortlist_NX)

    def run(self, outputs, feed):
        places_NKX = self.places_NX[:, None].repeat(feed["tokens_NK"].shape[1], 1)
        return self.session.run(outputs, feed | self.feed | {"places_NKX": places_NKX})


@pytest.mark.parametrize(("cell", "layers", "option"), SHAPES[::3])
@torch.inference_mode()
def test_integers_follow_pytorch_with_shortlists_too(cell, layers, option, tmp_path):
    network, sources = make_network(describe(cell, layers, **OPTIONS[option])), random_sources()
    plan, weights = plan_of(network.recipe), collect_weights(network)
    shortlists = random_shortlists(V)
    may_follow_NV = np.zeros((len(sources), V), np.bool_)
    for may_follow_V, source in zip(may_follow_NV, sources, strict=True):
        may_follow_V[shortlists.choose(source)] = True

    files = write_graphs(plan, weights, tmp_path, "int8", shortlists=shortlists)

    graphs = Graphs(files)
    graphs.replace_step(ListedStep(files, may_follow_NV))
    follow(graphs, network, sources, "int8", may_follow_NV)
