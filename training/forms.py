"""What a recurrent cell is, declared once: the form it is computed in, and how it is spelt there.

There are many cells and few ways to compute one. A form is such a way: gates, states, a fused
kernel of PyTorch or a loop, an operator of ONNX. A cell is a form and what each of the form's
gates is to it: a gate of its own, one of its own turned (sigmoid(-a) = 1 - sigmoid(a)), or none.

    "lstm-coupled"    is    LSTM    with   i, f, g, o   spelt   i, -i, g, o
    "mgu"             is    GRU, reset before   with   r, z, n   spelt   f, -f, n

Training keeps the weights of the cell's own gates and computes with those of the form, which are
made of them; graphs are written from the latter and give them back. Whoever adds a cell adds a
line to `CELLS`, and a form only if none can compute it.

This module needs neither PyTorch nor ONNX. The equations stand in `cells/`.

Source: the identities follow from those equations; each is tested against its cell's own.
"""

from dataclasses import dataclass
from typing import Literal

from training.kinds import CellKind, RecurrentInit

Operator = Literal["GRU", "LSTM"]
OPEN = "open"
"""Spells a gate that lets everything pass, whatever it reads."""
OPEN_BIAS = 100.0
"""Its sum: the sigmoid is exactly 1 in single and half precision."""


@dataclass(frozen=True, slots=True)
class Form:
    """One way to compute cells."""

    gates: tuple[str, ...]
    """Blocks of the weights, in the order in which PyTorch has them."""
    operator: Operator | None
    """Of ONNX, for the encoder; None where a loop around products is written instead."""
    order: tuple[int, ...]
    """Where the operator's gates stand among `gates`."""
    states: int = 1
    """Entries in the state of a layer; the first is what others read. See `num_states`."""
    is_delayed: bool = False
    """Whether it reads an output of long before besides the last."""
    kernel: str | None = None
    """PyTorch's fused layer, all positions in one call; None computes them one by one."""
    activation: Literal["Tanh", "Relu"] = "Tanh"
    """Of the new values."""
    resets_before: bool = False
    """Whether the reset gate comes before the product with the recurrent weights."""
    peepholes: tuple[str, ...] = ()
    """Gates that look at the cell itself."""

    @property
    def is_bounded(self) -> bool:
        """Whether outputs lie between -1 and 1, as integers of 8 bits need."""
        return self.activation == "Tanh"

    @property
    def runs_on_gpu(self) -> bool:
        """Whether ONNX Runtime runs its encoder on a GPU as one operator."""
        return self.operator is not None and not (self.resets_before or self.peepholes)


# There is an operator RNN, but ONNX Runtime 1.31 computes other bits by it in other company.
ELMAN = Form(("n",), None, (0,), kernel="rnn_tanh")
RELU = Form(("n",), None, (0,), kernel="rnn_relu", activation="Relu")
GRU = Form(("r", "z", "n"), "GRU", (1, 0, 2), kernel="gru")
RESET_BEFORE = Form(("r", "z", "n"), "GRU", (1, 0, 2), resets_before=True)
LSTM = Form(("i", "f", "g", "o"), "LSTM", (0, 3, 1, 2), states=2, kernel="lstm")
PEEPHOLE = Form(("i", "f", "g", "o"), "LSTM", (0, 3, 1, 2), states=2, peepholes=("i", "o", "f"))
SKIP = Form(("n",), None, (0,), is_delayed=True)


@dataclass(frozen=True, slots=True)
class Cell:
    """A recurrent cell as a form."""

    title: str
    form: Form
    spelling: tuple[str, ...]
    """What each gate of the form is: a gate of the cell's, with a minus if it is turned."""
    weightless: frozenset[str] = frozenset()
    """Gates that read nothing: all they have is a bias."""

    @property
    def gates(self) -> tuple[str, ...]:
        """The cell's own gates, in the order of its weights."""
        return tuple(dict.fromkeys(_plain(each) for each in self.spelling if each != OPEN))

    @property
    def is_plain(self) -> bool:
        """Whether its gates are those of its form."""
        return self.spelling == self.form.gates

    @property
    def forget(self) -> str | None:
        """Which gate, as it is spelt, keeps an LSTM's cell; None if there is no such cell."""
        return self.spelling[self.form.gates.index("f")] if "f" in self.form.gates else None


def split_sign(spelt: str) -> tuple[int, str]:
    """Return the sign and the name of a gate as it is spelt."""
    return (-1, spelt[1:]) if spelt.startswith("-") else (1, spelt)


def _plain(spelt: str) -> str:
    return split_sign(spelt)[1]


CELLS: dict[CellKind, Cell] = {
    "gru": Cell("GRU", GRU, ("r", "z", "n")),
    "lstm": Cell("LSTM", LSTM, ("i", "f", "g", "o")),
    "elman": Cell("Elman, tanh", ELMAN, ("n",)),
    "elman-relu": Cell("Elman, ReLU", RELU, ("n",)),
    "lstm-coupled": Cell("LSTM, coupled gates", LSTM, ("i", "-i", "g", "o")),
    "lstm-peephole": Cell("LSTM, peepholes", PEEPHOLE, ("i", "f", "g", "o")),
    "gru-z-new": Cell("GRU, update takes the new", GRU, ("r", "-z", "n")),
    "gru-reset-before": Cell("GRU, reset before", RESET_BEFORE, ("r", "z", "n")),
    "gru-reset-before-z-new": Cell(
        "GRU, reset before, update takes the new", RESET_BEFORE, ("r", "-z", "n")
    ),
    "mgu": Cell("minimal GRU", RESET_BEFORE, ("f", "-f", "n")),
    "leaky": Cell("leaky units", GRU, (OPEN, "-leak", "n"), frozenset({"leak"})),
    "skip": Cell("skips through time", SKIP, ("n",)),
}


@dataclass(frozen=True, slots=True)
class CellOptions:
    """How a layer of cells is made and trained, whichever cell it is; recipes tell of each."""

    weight_drop: float = 0.0
    forget_bias: float = 1.0
    recurrent_init: RecurrentInit = "orthogonal"
    recurrent_gain: float = 1.0
    time_scale: float = 32.0
    leak: Literal["learned", "fixed"] = "learned"
    delay: int = 1
    gradient_steps: int | None = None


def num_states(kind: CellKind, delay: int) -> int:
    """Return how many entries the state of a layer has: skips remember all outputs they skip."""
    form = CELLS[kind].form
    return delay if form.is_delayed else form.states
