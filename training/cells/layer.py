"""A layer of any cell in one direction: its own weights, and the form it runs as.

Legend beyond `models/README.md`: D inputs of a layer.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import dropout

from training.cells.kernels import State, run
from training.forms import CELLS, OPEN, OPEN_BIAS, Cell, CellOptions, num_states, split_sign
from training.kinds import CellKind

OWN_NAMES = {
    "input_weight": "weight_ih_l0",
    "hidden_weight": "weight_hh_l0",
    "input_bias": "bias_ih_l0",
    "hidden_bias": "bias_hh_l0",
}
"""What PyTorch calls the weights that `graphs.py` names."""
FASTEST_LEAK_STEPS = 2.0
"""Steps that the fastest leaky unit remembers at first."""


class Weights(nn.Module):
    """The weights of a cell's own gates, named and laid out as PyTorch's layers have them."""

    def __init__(self, cell: Cell, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        biases = len(cell.gates) * hidden_size
        rows = biases - len(cell.weightless) * hidden_size
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih_l0": (rows, input_size),
            "weight_hh_l0": (rows, hidden_size),
            "bias_ih_l0": (biases,),
            "bias_hh_l0": (biases,),
        }
        if cell.form.peepholes:
            shapes["peephole"] = (len(cell.form.peepholes) * hidden_size,)
        if cell.form.is_delayed:
            shapes["delayed_weight"] = (hidden_size, hidden_size)
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape)))


class Layer(nn.Module):
    """One layer in one direction, of any cell; the equations stand in `__init__.py`."""

    def __init__(
        self, kind: CellKind, input_size: int, hidden_size: int, options: CellOptions
    ) -> None:
        super().__init__()
        self.cell = CELLS[kind]
        self.options = options
        self.weight_drop = options.weight_drop
        self.num_states = num_states(kind, options.delay)
        self.rnn = _build_weights(self.cell, input_size, hidden_size)
        _initialise(self.rnn, self.cell, options)

    def forward(self, x_BTD: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Return the outputs for all positions, `out_BTH`, and the state after the last."""
        kernel, steps = self.begin(), self.options.gradient_steps
        if steps is None or not self.training or x_BTD.shape[1] <= steps:
            return kernel(x_BTD, state)
        # Williams & Peng 1990: what comes before the last steps is taken for given
        outputs: list[Tensor] = []
        for chunk_BTD in torch.split(x_BTD, steps, 1):
            if outputs and state is not None:
                state = tuple(each_BH.detach() for each_BH in state)
            out_BTH, state = kernel(chunk_BTD, state)
            outputs.append(out_BTH)
        assert state is not None
        return torch.cat(outputs, 1), state

    def form_weights(self) -> dict[str, Tensor]:
        """Return the weights of the form, by the names that `graphs.py` gives them."""
        return self._spell({})

    def begin(self) -> Callable[[Tensor, State | None], tuple[Tensor, State]]:
        """Return what runs over positions, in training without a share of the recurrent weights.

        For who runs a batch in pieces. Which weights are left out is drawn once for it and holds
        at all positions of all its sentences. So the fused kernel is called as ever, with others.

        Source: Merity et al. 2018, "Regularizing and Optimizing LSTM Language Models", section 3
        (DropConnect of Wan et al. 2013 on the hidden-to-hidden matrices).
        """
        dropped: dict[str, Tensor] = {}
        if self.training and self.weight_drop:
            whole = self.rnn.get_parameter("weight_hh_l0")
            dropped["weight_hh_l0"] = dropout(whole, self.weight_drop)
        if isinstance(self.rnn, nn.RNNBase):
            return partial(self._run_plain, dropped)
        return partial(self._run_form, self._spell(dropped))

    def _run_plain(
        self, dropped: dict[str, Tensor], x_BTD: Tensor, state: State | None
    ) -> tuple[Tensor, State]:
        states = None if state is None else tuple(each_BH[None] for each_BH in state)
        start = states[0] if states is not None and self.num_states == 1 else states
        if dropped:
            out_BTH, after = functional_call(self.rnn, dropped, (x_BTD, start))
        else:
            out_BTH, after = self.rnn(x_BTD, start)
        after = after if isinstance(after, tuple) else (after,)
        return out_BTH, tuple(each_1BH[0] for each_1BH in after)

    def _run_form(
        self, weights: dict[str, Tensor], x_BTD: Tensor, state: State | None
    ) -> tuple[Tensor, State]:
        if state is None:
            size = weights["hidden_weight"].shape[1]
            zeros_BH = x_BTD.new_zeros(len(x_BTD), size)
            state = (zeros_BH,) * self.num_states
        return run(self.cell.form, x_BTD, state, weights)

    def _spell(self, replaced: Mapping[str, Tensor]) -> dict[str, Tensor]:
        own = {**dict(self.rnn.named_parameters()), **replaced}
        weights = {name: self._spell_gates(theirs, own) for name, theirs in OWN_NAMES.items()}
        extra = {name: each for name, each in own.items() if name not in OWN_NAMES.values()}
        return weights | extra

    def _spell_gates(self, name: str, own: Mapping[str, Tensor]) -> Tensor:
        cell, is_bias = self.cell, name.startswith("bias")
        if cell.is_plain:
            return own[name]
        blocks = _blocks(cell, own[name], own["weight_hh_l0"].shape[1])
        if self.options.leak == "fixed" and is_bias and "leak" in blocks:
            blocks["leak"] = blocks["leak"].detach()
        nothing = torch.zeros_like(next(iter(blocks.values())))
        # of the two biases that are added
        blocks[OPEN] = nothing + OPEN_BIAS / 2 if is_bias else nothing
        spelt = [split_sign(each) for each in cell.spelling]
        return torch.cat([sign * blocks.get(gate, nothing) for sign, gate in spelt])


def build_layer(
    kind: CellKind, input_size: int, hidden_size: int, options: CellOptions | None = None
) -> Layer:
    """Return one layer in one direction."""
    return Layer(kind, input_size, hidden_size, options or CellOptions())


def own_weights(kind: CellKind, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a cell's own weights, by their own names: what `Layer.form_weights` does, undone."""
    cell, own = CELLS[kind], dict[str, Tensor]()
    for name, values in weights.items():
        if name not in OWN_NAMES or cell.is_plain:
            own[OWN_NAMES.get(name, name)] = values
            continue
        by_gate: dict[str, Tensor] = {}
        for spelt, block in zip(cell.spelling, values.chunk(len(cell.spelling)), strict=True):
            sign, gate = split_sign(spelt)
            by_gate.setdefault(gate, sign * block)
        own[OWN_NAMES[name]] = torch.cat(
            [by_gate[gate] for gate in _gates_in(cell, OWN_NAMES[name])]
        )
    return own


def _gates_in(cell: Cell, name: str) -> list[str]:
    """Return the gates that have rows in a weight of their own name."""
    return [each for each in cell.gates if name.startswith("bias") or each not in cell.weightless]


def _blocks(cell: Cell, values: Tensor, size: int) -> dict[str, Tensor]:
    name = "bias" if values.dim() == 1 else "weight"
    return dict(zip(_gates_in(cell, name), torch.split(values, size), strict=True))


def _build_weights(cell: Cell, input_size: int, hidden_size: int) -> nn.RNNBase | Weights:
    if not cell.is_plain or cell.form.kernel is None:
        return Weights(cell, input_size, hidden_size)
    if cell.form.operator is None:
        activation = cell.form.activation.lower()
        return nn.RNN(input_size, hidden_size, nonlinearity=activation, batch_first=True)
    kind = nn.LSTM if cell.form.operator == "LSTM" else nn.GRU
    return kind(input_size, hidden_size, batch_first=True)


def _initialise(rnn: nn.RNNBase | Weights, cell: Cell, options: CellOptions) -> None:
    """Start input weights by Glorot, recurrent ones as told gate by gate, biases at zero.

    An LSTM's forget gate starts open (Jozefowicz et al. 2015, section 4.3); leaky units start
    at time scales spread evenly from short to long.

    Source: Saxe et al. 2014, "Exact solutions to the nonlinear dynamics", section 3, for
    orthogonal weights; Le et al. 2015, section 3, for the identity.
    """
    size = rnn.hidden_size
    for name, weight in rnn.named_parameters():
        if name.startswith("bias") or name == "peephole":
            nn.init.zeros_(weight)
            continue
        for gate in torch.split(weight.data, size):
            if name.startswith("weight_ih"):
                nn.init.xavier_uniform_(gate)
            else:
                _start_recurrent(gate, cell, options)
    biases = _blocks(cell, rnn.get_parameter("bias_ih_l0").data, size)
    if cell.forget is not None:
        sign, forget = split_sign(cell.forget)
        biases[forget].fill_(sign * options.forget_bias)
    if "leak" in biases:
        steps_H = torch.logspace(0, 1, size, options.time_scale / FASTEST_LEAK_STEPS)
        biases["leak"].copy_(torch.logit(1 / (FASTEST_LEAK_STEPS * steps_H)))


def _start_recurrent(gate: Tensor, cell: Cell, options: CellOptions) -> None:
    starts = {
        "orthogonal": nn.init.orthogonal_,
        "identity": nn.init.eye_,
        "glorot": nn.init.xavier_uniform_,
    }
    starts[options.recurrent_init](gate)
    # two matrices share the state where there are skips, and their variances add up
    gain = options.recurrent_gain / (math.sqrt(2) if cell.form.is_delayed else 1)
    if gain != 1:
        gate.mul_(gain)
