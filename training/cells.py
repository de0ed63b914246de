"""Recurrent layers behind one interface.

A layer reads a whole sequence at once. Its state is a tuple whose first entry is what
attention and output read, whatever the cell: `(h,)` for a GRU, `(h, c)` for an LSTM.

Legend beyond `models/README.md`: D inputs of a layer.
"""

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import dropout

from training.kinds import CellKind

State = tuple[Tensor, ...]
Start = TypeVar("Start", Tensor, tuple[Tensor, Tensor])
"""The state in the form that torch's layer has it in."""

STATE_SIZES: dict[CellKind, int] = {"gru": 1, "lstm": 2}
"""Entries in the state of one layer."""


class GRULayer(nn.Module):
    """Gated recurrent unit, reset gate after the matrix product.

        r  = sigmoid(W_r x + b_r + U_r h + c_r)
        z  = sigmoid(W_z x + b_z + U_z h + c_z)
        n  = tanh(W_n x + b_n + r * (U_n h + c_n))
        h' = (1 - z) * n + z * h

    Source: Cho et al. 2014, "Learning Phrase Representations", section 2.3, in the variant
    that fused kernels compute.
    """

    def __init__(self, input_size: int, hidden_size: int, weight_drop: float = 0.0) -> None:
        super().__init__()
        self.rnn = nn.GRU(input_size, hidden_size, batch_first=True)
        self.weight_drop = weight_drop
        initialise(self.rnn)

    def forward(self, x_BTD: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Return the outputs for all positions, `out_BTH`, and the state after the last."""
        h_1BH = None if state is None else state[0][None]
        out_BTH, h_1BH = run(self.rnn, x_BTD, h_1BH, self.weight_drop)
        return out_BTH, (h_1BH[0],)


class LSTMLayer(nn.Module):
    """Long short-term memory with a forget gate.

        i, f, o = sigmoid(W x + b + U h + c), each with its own weights
        g  = tanh(W_g x + b_g + U_g h + c_g)
        c' = f * c + i * g
        h' = o * tanh(c')

    The forget gate starts with bias 1 (Jozefowicz et al. 2015, section 4.3).

    Source: Gers et al. 2000, "Learning to Forget", section 3.
    """

    def __init__(self, input_size: int, hidden_size: int, weight_drop: float = 0.0) -> None:
        super().__init__()
        self.rnn = nn.LSTM(input_size, hidden_size, batch_first=True)
        self.weight_drop = weight_drop
        initialise(self.rnn)
        # torch adds two biases and orders the gates i, f, g, o
        forget = self.rnn.get_parameter("bias_ih_l0").data[hidden_size : 2 * hidden_size]
        nn.init.ones_(forget)

    def forward(self, x_BTD: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Return the outputs for all positions, `out_BTH`, and the state after the last."""
        start = None if state is None else (state[0][None], state[1][None])
        out_BTH, (h_1BH, c_1BH) = run(self.rnn, x_BTD, start, self.weight_drop)
        return out_BTH, (h_1BH[0], c_1BH[0])


def build_layer(
    cell: CellKind, input_size: int, hidden_size: int, weight_drop: float = 0.0
) -> GRULayer | LSTMLayer:
    """Return one layer in one direction.

    Args:
        weight_drop: Share of the recurrent weights that are zero for a batch of training.
    """
    layers: dict[CellKind, type[GRULayer | LSTMLayer]] = {"gru": GRULayer, "lstm": LSTMLayer}
    return layers[cell](input_size, hidden_size, weight_drop)


def run(
    rnn: nn.RNNBase, x_BTD: Tensor, start: Start | None, weight_drop: float
) -> tuple[Tensor, Start]:
    """Run a layer over all positions, in training without a share of its recurrent weights.

    Which ones is drawn once for the batch and holds at all positions of all its sentences. So
    the fused kernel is called as ever, with other weights.

    Source: Merity et al. 2018, "Regularizing and Optimizing LSTM Language Models", section 3
    (DropConnect of Wan et al. 2013 on the hidden-to-hidden matrices).
    """
    if not rnn.training or weight_drop == 0:
        return rnn(x_BTD, start)  # type: ignore[no-any-return]
    weights = {"weight_hh_l0": dropout(rnn.get_parameter("weight_hh_l0"), weight_drop)}
    return functional_call(rnn, weights, (x_BTD, start))  # type: ignore[no-any-return]


def initialise(rnn: nn.RNNBase) -> None:
    """Start input weights by Glorot, recurrent ones orthogonal gate by gate, biases at zero.

    Source: Saxe et al. 2014, "Exact solutions to the nonlinear dynamics", section 3.
    """
    for name, weight in rnn.named_parameters():
        if name.startswith("bias"):
            nn.init.zeros_(weight)
            continue
        for gate in torch.split(weight.data, rnn.hidden_size):
            if name.startswith("weight_hh"):
                nn.init.orthogonal_(gate)
            else:
                nn.init.xavier_uniform_(gate)
