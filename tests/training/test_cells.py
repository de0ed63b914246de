"""Recurrent layers against their equations, one position at a time, in plain numpy."""

import numpy as np
import pytest
import torch
from torch.nn.functional import dropout

from training.cells import STATE_SIZES, build_layer

NUM_INPUTS, SIZE, ROWS, POSITIONS = 3, 4, 2, 5


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gates(layer):
    """Return each gate as a function of input and hidden vector: its two summands apart."""
    names = ("weight_ih_l0", "bias_ih_l0", "weight_hh_l0", "bias_hh_l0")
    weights = [layer.rnn.get_parameter(name).detach().numpy() for name in names]
    split = (np.split(weight, len(weight) // SIZE) for weight in weights)
    return [
        (lambda x, w=w, b=b: x @ w.T + b, lambda h, u=u, c=c: h @ u.T + c)
        for w, b, u, c in zip(*split, strict=True)
    ]


def gru_step(layer, x, state):
    (h,) = state
    (wr, ur), (wz, uz), (wn, un) = gates(layer)
    r, z = sigmoid(wr(x) + ur(h)), sigmoid(wz(x) + uz(h))
    n = np.tanh(wn(x) + r * un(h))
    return ((1 - z) * n + z * h,)


def lstm_step(layer, x, state):
    h, c = state
    i, f, g, o = (w(x) + u(h) for w, u in gates(layer))
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


EQUATIONS = {"gru": gru_step, "lstm": lstm_step}


def random_layer(cell):
    torch.manual_seed(3)
    layer = build_layer(cell, NUM_INPUTS, SIZE).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    return layer


def random_input(cell):
    x_BTD = torch.randn(ROWS, POSITIONS, NUM_INPUTS, dtype=torch.float64)
    state = tuple(torch.randn(ROWS, SIZE, dtype=torch.float64) for _ in range(STATE_SIZES[cell]))
    return x_BTD, state


@pytest.mark.parametrize("cell", EQUATIONS)
def test_layer_computes_its_equations(cell):
    layer = random_layer(cell)
    x_BTD, start = random_input(cell)
    state, expected = tuple(each.numpy() for each in start), []
    for x_BD in x_BTD.numpy().swapaxes(0, 1):
        state = EQUATIONS[cell](layer, x_BD, state)
        expected.append(state[0])

    out_BTH, after = layer(x_BTD, start)

    np.testing.assert_allclose(out_BTH.detach().numpy(), np.stack(expected, 1), atol=1e-12)
    for found, wanted in zip(after, state, strict=True):
        np.testing.assert_allclose(found.detach().numpy(), wanted, atol=1e-12)


@pytest.mark.parametrize("cell", EQUATIONS)
def test_layer_without_a_state_starts_from_zero(cell):
    layer = random_layer(cell)
    x_BTD, start = random_input(cell)
    zeros = tuple(torch.zeros_like(each) for each in start)

    assert torch.equal(layer(x_BTD)[0], layer(x_BTD, zeros)[0])


@pytest.mark.parametrize("cell", EQUATIONS)
def test_gradients_are_those_of_small_differences(cell):
    layer = random_layer(cell)
    x_BTD, start = random_input(cell)
    inputs = [each.requires_grad_() for each in (x_BTD[:, :2].clone(), *start)]

    assert torch.autograd.gradcheck(lambda x, *state: layer(x, state)[0], inputs)


@pytest.mark.parametrize("cell", EQUATIONS)
def test_every_recurrent_gate_starts_orthogonal(cell):
    weight = build_layer(cell, NUM_INPUTS, SIZE).rnn.weight_hh_l0.detach()

    for gate in weight.split(SIZE):
        torch.testing.assert_close(gate @ gate.T, torch.eye(SIZE))


@pytest.mark.parametrize("cell", EQUATIONS)
def test_input_weights_start_within_the_bound_of_glorot(cell):
    # Glorot & Bengio 2010, equation 16, for one gate
    bound = np.sqrt(6 / (NUM_INPUTS + SIZE))

    weight = build_layer(cell, NUM_INPUTS, SIZE).rnn.weight_ih_l0.detach()

    assert bound / 2 < weight.abs().max() <= bound


def test_forget_gate_starts_open_and_all_other_biases_at_zero():
    rnn = build_layer("lstm", NUM_INPUTS, SIZE).rnn

    input_gate, forget, new, output = (rnn.bias_ih_l0 + rnn.bias_hh_l0).detach().split(SIZE)

    assert forget.tolist() == [1.0] * SIZE
    assert not torch.cat([input_gate, new, output]).any()


def test_gru_starts_without_biases():
    rnn = build_layer("gru", NUM_INPUTS, SIZE).rnn

    assert not torch.cat([rnn.bias_ih_l0, rnn.bias_hh_l0]).any()


def dropping_layer(cell, share):
    layer = random_layer(cell)
    layer.weight_drop = share
    return layer


@pytest.mark.parametrize("cell", EQUATIONS)
def test_weight_drop_takes_the_same_recurrent_weights_from_all_positions_and_sentences(cell):
    layer, plain = dropping_layer(cell, 0.5), random_layer(cell)
    x_BTD, start = random_input(cell)
    torch.manual_seed(9)
    with torch.no_grad():
        # Merity et al. 2018, section 3: one mask for the forward and backward pass of a batch
        plain.rnn.weight_hh_l0.copy_(dropout(plain.rnn.weight_hh_l0, 0.5))
    assert (plain.rnn.weight_hh_l0 == 0).any()

    torch.manual_seed(9)
    out_BTH, after = layer(x_BTD, start)

    expected_BTH, expected = plain(x_BTD, start)
    torch.testing.assert_close(out_BTH, expected_BTH)
    torch.testing.assert_close(after, expected)


@pytest.mark.parametrize("cell", EQUATIONS)
def test_weight_drop_takes_other_weights_each_time_and_gives_them_back(cell):
    layer = dropping_layer(cell, 0.5)
    before = {name: each.clone() for name, each in layer.state_dict().items()}
    x_BTD, start = random_input(cell)

    assert not torch.equal(layer(x_BTD, start)[0], layer(x_BTD, start)[0])

    assert all(torch.equal(each, before[name]) for name, each in layer.state_dict().items())
    assert torch.equal(layer.eval()(x_BTD, start)[0], random_layer(cell)(x_BTD, start)[0])


@pytest.mark.parametrize("cell", EQUATIONS)
def test_dropped_weights_do_not_learn_from_the_batch_and_all_others_do(cell):
    layer = dropping_layer(cell, 0.5)
    torch.manual_seed(9)
    is_kept = dropout(torch.ones_like(layer.rnn.weight_hh_l0), 0.5) != 0
    x_BTD, start = random_input(cell)

    torch.manual_seed(9)
    layer(x_BTD, start)[0].sum().backward()

    assert torch.equal(layer.rnn.weight_hh_l0.grad != 0, is_kept)
    assert all(bool(each.grad.any()) for each in layer.parameters())
