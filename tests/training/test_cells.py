"""Recurrent layers against their equations, one position at a time, in plain numpy."""

from typing import get_args

import numpy as np
import pytest
import torch
from torch.func import functional_call
from torch.nn.functional import dropout

from training.cells import build_layer, own_weights
from training.forms import CELLS, CellOptions, num_states
from training.kinds import CellKind

NUM_INPUTS, SIZE, ROWS, POSITIONS, DELAY = 3, 4, 2, 7, 3


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


def gru_z_new_step(layer, x, state):
    (h,) = state
    (wr, ur), (wz, uz), (wn, un) = gates(layer)
    r, z = sigmoid(wr(x) + ur(h)), sigmoid(wz(x) + uz(h))
    n = np.tanh(wn(x) + r * un(h))
    return (z * n + (1 - z) * h,)


def gru_reset_before_step(layer, x, state):
    (h,) = state
    (wr, ur), (wz, uz), (wn, un) = gates(layer)
    r, z = sigmoid(wr(x) + ur(h)), sigmoid(wz(x) + uz(h))
    n = np.tanh(wn(x) + un(r * h))
    return ((1 - z) * n + z * h,)


def gru_reset_before_z_new_step(layer, x, state):
    (h,) = state
    (wr, ur), (wz, uz), (wn, un) = gates(layer)
    r, z = sigmoid(wr(x) + ur(h)), sigmoid(wz(x) + uz(h))
    n = np.tanh(wn(x) + un(r * h))
    return (z * n + (1 - z) * h,)


def mgu_step(layer, x, state):
    (h,) = state
    (wf, uf), (wn, un) = gates(layer)
    f = sigmoid(wf(x) + uf(h))
    return ((1 - f) * h + f * np.tanh(wn(x) + un(f * h)),)


def leaky_step(layer, x, state):
    (h,) = state
    get = lambda name: layer.rnn.get_parameter(name).detach().numpy()  # noqa: E731
    (leak_b, b), (leak_c, c) = (np.split(get(f"bias_{side}_l0"), 2) for side in ("ih", "hh"))
    n = np.tanh(x @ get("weight_ih_l0").T + b + h @ get("weight_hh_l0").T + c)
    share = sigmoid(leak_b + leak_c)
    return ((1 - share) * h + share * n,)


def lstm_step(layer, x, state):
    h, c = state
    i, f, g, o = (w(x) + u(h) for w, u in gates(layer))
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def lstm_coupled_step(layer, x, state):
    h, c = state
    i, g, o = (w(x) + u(h) for w, u in gates(layer))
    c = (1 - sigmoid(i)) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def lstm_peephole_step(layer, x, state):
    h, c = state
    pi, po, pf = np.split(layer.rnn.peephole.detach().numpy(), 3)
    i, f, g, o = (w(x) + u(h) for w, u in gates(layer))
    new = sigmoid(f + pf * c) * c + sigmoid(i + pi * c) * np.tanh(g)
    return sigmoid(o + po * new) * np.tanh(new), new


def elman_step(layer, x, state):
    ((w, u),) = gates(layer)
    return (np.tanh(w(x) + u(state[0])),)


def elman_relu_step(layer, x, state):
    ((w, u),) = gates(layer)
    return (np.maximum(w(x) + u(state[0]), 0),)


def skip_step(layer, x, state):
    ((w, u),) = gates(layer)
    long_ago = state[DELAY - 1] @ layer.rnn.delayed_weight.detach().numpy().T
    return (np.tanh(w(x) + u(state[0]) + long_ago), *state[:-1])


EQUATIONS = {
    "gru": gru_step,
    "lstm": lstm_step,
    "elman": elman_step,
    "elman-relu": elman_relu_step,
    "lstm-coupled": lstm_coupled_step,
    "lstm-peephole": lstm_peephole_step,
    "gru-z-new": gru_z_new_step,
    "gru-reset-before": gru_reset_before_step,
    "gru-reset-before-z-new": gru_reset_before_z_new_step,
    "mgu": mgu_step,
    "leaky": leaky_step,
    "skip": skip_step,
}


def test_every_cell_has_its_equations_here():
    assert EQUATIONS.keys() == CELLS.keys() == set(get_args(CellKind))


def build(cell, **options):
    options = CellOptions(delay=DELAY, **options)
    return build_layer(cell, NUM_INPUTS, SIZE, options)


def random_layer(cell, **options):
    torch.manual_seed(3)
    layer = build(cell, **options).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    return layer


def random_input(cell):
    x_BTD = torch.randn(ROWS, POSITIONS, NUM_INPUTS, dtype=torch.float64)
    state = tuple(
        torch.randn(ROWS, SIZE, dtype=torch.float64) for _ in range(num_states(cell, DELAY))
    )
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
    inputs = [each.requires_grad_() for each in (x_BTD[:, : DELAY + 1].clone(), *start)]

    weights = dict(layer.named_parameters())

    def run(x_BTD, *rest):
        own = dict(zip(weights, rest[len(start) :], strict=True))
        return functional_call(layer, own, (x_BTD, rest[: len(start)]))[0]

    assert torch.autograd.gradcheck(run, [*inputs, *weights.values()])


@pytest.mark.parametrize("cell", EQUATIONS)
def test_every_recurrent_gate_starts_orthogonal(cell):
    weight = build(cell).rnn.weight_hh_l0.detach()

    # two matrices add to the state of skips, so each has half of its variance
    variance = 0.5 if cell == "skip" else 1.0
    for gate in weight.split(SIZE):
        torch.testing.assert_close(gate @ gate.T, variance * torch.eye(SIZE))


@pytest.mark.parametrize("cell", EQUATIONS)
def test_input_weights_start_within_the_bound_of_glorot(cell):
    # Glorot & Bengio 2010, equation 16, for one gate
    bound = np.sqrt(6 / (NUM_INPUTS + SIZE))

    weight = build(cell).rnn.weight_ih_l0.detach()

    assert bound / 2 < weight.abs().max() <= bound


@pytest.mark.parametrize("cell", CELLS)
def test_identity_and_gain_are_what_recurrent_gates_start_as(cell):
    weight = build(cell, recurrent_init="identity", recurrent_gain=0.5).rnn.weight_hh_l0.detach()

    # two matrices add to the state of skips, so each has half of its variance
    gain = 0.5 / np.sqrt(2) if cell == "skip" else 0.5
    for gate in weight.split(SIZE):
        torch.testing.assert_close(gate, gain * torch.eye(SIZE))


@pytest.mark.parametrize(
    ("cell", "place", "sign"), [("lstm-peephole", 1, 1), ("lstm-coupled", 0, -1)]
)
def test_forget_gate_of_every_lstm_starts_as_open_as_told(cell, place, sign):
    bias = build(cell, forget_bias=2.5).rnn.bias_ih_l0.detach()

    for gate, values in enumerate(bias.split(SIZE)):
        assert values.tolist() == [sign * 2.5 * (gate == place)] * SIZE


def test_leaky_units_start_at_time_scales_from_two_steps_to_the_longest():
    leak = build("leaky", time_scale=16.0).rnn.bias_ih_l0.detach()[:SIZE]

    # 1 / a for an exponential that forgets by a at each step
    torch.testing.assert_close(1 / leak.sigmoid(), torch.tensor([2.0, 4.0, 8.0, 16.0]))


@pytest.mark.parametrize(("leak", "learns"), [("learned", True), ("fixed", False)])
def test_leak_is_learnt_unless_it_is_fixed(leak, learns):
    layer = random_layer("leaky", leak=leak)

    layer(random_input("leaky")[0])[0].sum().backward()

    of_leak, of_new = layer.rnn.bias_ih_l0.grad.split(SIZE)
    assert bool(of_leak.any()) == learns
    assert bool(of_new.any())


@pytest.mark.parametrize("cell", CELLS)
def test_own_weights_come_back_from_those_of_the_form(cell):
    layer = random_layer(cell)
    x_BTD, start = random_input(cell)
    again = random_layer(cell)
    own = own_weights(cell, {name: w.detach() for name, w in layer.form_weights().items()})

    again.rnn.load_state_dict(own)

    assert torch.equal(again(x_BTD, start)[0], layer(x_BTD, start)[0])


@pytest.mark.parametrize("cell", CELLS)
def test_gradient_is_cut_after_so_many_steps_and_nothing_else_changes(cell):
    whole, cut = random_layer(cell), random_layer(cell, gradient_steps=3)
    x_BTD, start = random_input(cell)
    x_BTD.requires_grad_()
    (after_BH,) = {out[1][0] for out in [whole(x_BTD, start)]}

    out_BTH, after = cut(x_BTD, start)
    (grad_BTD,) = torch.autograd.grad(out_BTH[:, 4].sum(), x_BTD)

    torch.testing.assert_close(out_BTH, whole(x_BTD, start)[0])
    torch.testing.assert_close(after[0], after_BH)
    # position 4 lies in the second stretch of 3: it knows nothing of how 0 to 2 came about
    assert not grad_BTD[:, :3].any()
    assert grad_BTD[:, 3:5].any(-1).all()
    assert torch.autograd.grad(whole(x_BTD, start)[0][:, 4].sum(), x_BTD)[0][:, :3].any()


@pytest.mark.parametrize("cell", CELLS)
def test_gradient_is_whole_where_nothing_is_learnt(cell):
    layer = random_layer(cell, gradient_steps=3).eval()
    x_BTD, start = random_input(cell)
    x_BTD.requires_grad_()

    (grad_BTD,) = torch.autograd.grad(layer(x_BTD, start)[0][:, 4].sum(), x_BTD)

    assert grad_BTD[:, 0].any()


def test_forget_gate_starts_open_and_all_other_biases_at_zero():
    rnn = build("lstm").rnn

    input_gate, forget, new, output = (rnn.bias_ih_l0 + rnn.bias_hh_l0).detach().split(SIZE)

    assert forget.tolist() == [1.0] * SIZE
    assert not torch.cat([input_gate, new, output]).any()


def test_gru_starts_without_biases():
    rnn = build("gru").rnn

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
