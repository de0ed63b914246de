"""What layers do while a sentence is translated, against the equations of their cells."""

import pytest
import torch

from models.tokenizer import BOS, EOS
from training.network import Network
from training.recipe import NetworkRecipe
from training.report.inside import GateShares, measure_flow, measure_gates, read_inside

SOURCE, TARGET = [5, 6, 7, 8, EOS], [BOS, 9, 5, 6, EOS]
RECIPE = {
    "attention": "general",
    "embedding_size": 6,
    "encoder_layers": 2,
    "encoder_size": 4,
    "decoder_layers": 2,
    "decoder_size": 8,
    "tying": "none",
}
LAYERS = [
    "encoder 1 forwards",
    "encoder 1 backwards",
    "encoder 2 forwards",
    "encoder 2 backwards",
    "decoder 1",
    "decoder 2",
]


def read(cell, **changes):
    torch.manual_seed(1)
    recipe = NetworkRecipe.model_validate({"cell": cell, **RECIPE, **changes})
    return read_inside(Network(recipe, 12).eval(), SOURCE, TARGET)


def test_every_layer_is_caught_with_what_it_reads():
    readings, weights_TS = read("gru")

    assert [reading.name for reading in readings] == LAYERS
    assert [len(reading.x_TD) for reading in readings] == [5, 5, 5, 5, 4, 4]
    assert torch.equal(readings[0].x_TD.flip(0), readings[1].x_TD)
    assert weights_TS.shape == (4, 5)
    assert torch.allclose(weights_TS.sum(1), torch.ones(4))


def test_layer_that_is_fed_its_own_attention_is_left_out():
    readings, weights_TS = read("gru", input_feeding=True)

    assert [reading.name for reading in readings] == [
        name for name in LAYERS if name != "decoder 1"
    ]
    assert weights_TS.shape == (4, 5)


def test_network_without_attention_is_looked_into():
    assert [reading.name for reading in read("gru", attention="none")[0]] == LAYERS


def test_network_is_left_as_it_was():
    torch.manual_seed(1)
    network = Network(NetworkRecipe.model_validate({"cell": "gru", **RECIPE}), 12).eval()

    read_inside(network, SOURCE, TARGET)

    assert not any(module._forward_pre_hooks for module in network.modules())


def gates_of_lstm(reading):
    """Return i, f and o of an LSTM, computed from its equations one step at a time."""
    weights = dict(reading.layer.rnn.named_parameters())
    h, c = torch.zeros(4), torch.zeros(4)
    found = []
    for x in reading.x_TD:
        sums = weights["weight_ih_l0"] @ x + weights["bias_ih_l0"]
        sums = sums + weights["weight_hh_l0"] @ h + weights["bias_hh_l0"]
        i, f, g, o = sums.chunk(4)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        found.append((i.sigmoid(), f.sigmoid(), o.sigmoid()))
    return [torch.cat(gate) for gate in zip(*found, strict=True)]


def test_gates_of_an_lstm_are_those_of_its_equations():
    reading = read("lstm", forget_bias=2.2)[0][0]

    shares = measure_gates([reading])

    expected = [
        GateShares(
            "encoder 1 forwards",
            name,
            pytest.approx(float((gate < 0.1).float().mean())),
            pytest.approx(float((gate > 0.9).float().mean())),
        )
        for name, gate in zip("ifo", gates_of_lstm(reading), strict=True)
    ]
    assert shares == expected
    assert 0 < shares[1].open < 1  # or nothing would be told apart


def test_open_forget_gate_is_told():
    open_by_gate = {
        each.gate: each.open for each in measure_gates(read("lstm", forget_bias=9.0)[0][:1])
    }

    assert open_by_gate["f"] == 1.0
    assert open_by_gate["i"] < 0.5


def test_cell_without_gates_has_none():
    assert measure_gates(read("elman")[0]) == []


@pytest.mark.parametrize(
    ("cell", "changes", "gates"),
    [
        ("lstm-peephole", {}, ["i", "f", "o"]),
        ("lstm-coupled", {}, ["i", "f", "o"]),
        ("gru-reset-before", {}, ["r", "z"]),
        ("mgu", {}, ["r", "z"]),
        ("leaky", {}, ["r", "z"]),
        ("skip", {"delay": 3}, []),
    ],
)
def test_every_cell_is_looked_into(cell, changes, gates):
    readings, _ = read(cell, **changes)

    assert list(dict.fromkeys(each.gate for each in measure_gates(readings))) == gates
    flow = measure_flow(readings)
    assert list(flow) == LAYERS
    assert [norms[0] for norms in flow.values()] == pytest.approx([1.0] * len(LAYERS))


def test_coupled_gates_share_what_there_is():
    by_gate = {each.gate: each for each in measure_gates(read("lstm-coupled")[0][:1])}

    assert by_gate["i"].closed == by_gate["f"].open
    assert by_gate["i"].open == by_gate["f"].closed


def test_open_lstm_lets_more_flow_back_than_an_elman_layer():
    lstm = measure_flow(read("lstm", forget_bias=6.0)[0])["encoder 1 forwards"]
    elman = measure_flow(read("elman", recurrent_gain=0.5)[0])["encoder 1 forwards"]

    assert elman[-1] < 0.5**4 * 1.01  # orthogonal, halved at each of four steps
    assert lstm[-1] > elman[-1]


def test_output_gate_of_a_peephole_looks_at_the_new_cell_and_the_others_at_the_old():
    reading = read("lstm-peephole")[0][0]
    own = dict(reading.layer.rnn.named_parameters())
    with torch.no_grad():
        own["peephole"].copy_(torch.linspace(-40, 40, 12))
    p_i, p_o, p_f = own["peephole"].detach().chunk(3)
    h, c = torch.zeros(4), torch.zeros(4)
    found = {"i": [], "f": [], "o": []}
    for x in reading.x_TD:
        sums = own["weight_ih_l0"] @ x + own["bias_ih_l0"]
        i, f, g, o = (sums + own["weight_hh_l0"] @ h + own["bias_hh_l0"]).detach().chunk(4)
        i, f = (i + p_i * c).sigmoid(), (f + p_f * c).sigmoid()
        c = f * c + i * g.tanh()
        o = (o + p_o * c).sigmoid()
        h = o * c.tanh()
        for name, gate in zip("ifo", (i, f, o), strict=True):
            found[name].append(gate)

    shares = {each.gate: each for each in measure_gates([reading])}

    for name, gates in found.items():
        values = torch.cat(gates)
        assert shares[name].closed == pytest.approx(float((values < 0.1).float().mean()))
        assert shares[name].open == pytest.approx(float((values > 0.9).float().mean()))
    assert shares["o"].closed + shares["o"].open > 0.3
