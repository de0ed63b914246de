"""Forms computed over all positions: PyTorch's fused kernels, and loops for what they cannot.

A loop makes the products of the inputs of all positions in one; what is left for a step is what
needs the state. Weights are those that `graphs.py` names, as PyTorch lays them out.

Legend beyond `models/README.md`: D inputs of a layer.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import linear

from training.forms import Form

State = tuple[Tensor, ...]
Weights = Mapping[str, Tensor]


def run(form: Form, x_BTD: Tensor, state: State, weights: Weights) -> tuple[Tensor, State]:
    """Return the outputs for all positions, `out_BTH`, and the state after the last."""
    if form.kernel is not None:
        return _run_fused(form, x_BTD, state, weights)
    biases = weights["input_bias"] + weights["hidden_bias"]
    steps = linear(x_BTD, weights["input_weight"], biases).unbind(1)
    state = tuple(each_BH.to(steps[0].dtype) for each_BH in state)
    if form.is_delayed:
        return _loop_skip(steps, state, weights)
    loop = _loop_peephole if form.peepholes else _loop_reset_before
    return loop(steps, state, weights)


def _run_fused(form: Form, x_BTD: Tensor, state: State, weights: Weights) -> tuple[Tensor, State]:
    flat = [
        weights[name] for name in ("input_weight", "hidden_weight", "input_bias", "hidden_bias")
    ]
    start = [each_BH[None] for each_BH in state]
    # biases, one layer, no dropout, training, one direction, batch first
    how = (True, 1, 0.0, torch.is_grad_enabled(), False, True)
    if form.kernel == "lstm":
        out_BTH, *after = torch.lstm(x_BTD, start, flat, *how)
    else:
        kernel = {"gru": torch.gru, "rnn_tanh": torch.rnn_tanh, "rnn_relu": torch.rnn_relu}
        out_BTH, *after = kernel[form.kernel or ""](x_BTD, start[0], flat, *how)
    return out_BTH, tuple(each_1BH[0] for each_1BH in after)


def _loop_reset_before(
    steps: tuple[Tensor, ...], state: State, weights: Weights
) -> tuple[Tensor, State]:
    (h_BH,), out = state, []
    size = h_BH.shape[-1]
    gates_HG, new_HH = (
        each.t() for each in torch.split(weights["hidden_weight"], [2 * size, size])
    )
    for linear_BG in steps:
        of_gates_BG, of_new_BH = torch.split(linear_BG, [2 * size, size], -1)
        r_BH, z_BH = torch.addmm(of_gates_BG, h_BH, gates_HG).sigmoid().chunk(2, -1)
        n_BH = torch.addmm(of_new_BH, r_BH * h_BH, new_HH).tanh()
        h_BH = torch.lerp(n_BH, h_BH, z_BH)
        out.append(h_BH)
    return torch.stack(out, 1), (h_BH,)


def _loop_peephole(
    steps: tuple[Tensor, ...], state: State, weights: Weights
) -> tuple[Tensor, State]:
    (h_BH, c_BH), out = state, []
    size = h_BH.shape[-1]
    peep_i_H, peep_o_H, peep_f_H = weights["peephole"].chunk(3)
    peep_if_G = torch.cat([peep_i_H, peep_f_H])
    hidden_HG = weights["hidden_weight"].t()
    for linear_BG in steps:
        if_BG, g_BH, o_BH = torch.split(
            torch.addmm(linear_BG, h_BH, hidden_HG), [2 * size, size, size], -1
        )
        i_BH, f_BH = (if_BG + peep_if_G * c_BH.repeat(1, 2)).sigmoid().chunk(2, -1)
        c_BH = f_BH * c_BH + i_BH * g_BH.tanh()
        h_BH = (o_BH + peep_o_H * c_BH).sigmoid() * c_BH.tanh()
        out.append(h_BH)
    return torch.stack(out, 1), (h_BH, c_BH)


def _loop_skip(steps: tuple[Tensor, ...], state: State, weights: Weights) -> tuple[Tensor, State]:
    # both products in one; the state is the newest output first, the one from d steps ago last
    past, out = list(state), []
    both_IH = torch.cat([weights["hidden_weight"], weights["delayed_weight"]], 1).t()
    for linear_BH in steps:
        h_BH = torch.addmm(linear_BH, torch.cat([past[0], past[-1]], -1), both_IH).tanh()
        past = [h_BH, *past[:-1]]
        out.append(h_BH)
    return torch.stack(out, 1), tuple(past)
