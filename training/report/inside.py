"""What the recurrent layers of a network do while it translates a sentence.

Each layer is caught with what it reads (`Reading`), and gone through again by itself, step by
step: how far its gates are open, and what flows back through it (`flow.py`). With input feeding the
first decoder layer reads what attention says of its own outputs, so it is not gone through alone.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from training.batches import pad
from training.cells import Layer, State
from training.flow import flow_back
from training.network import Network

CLOSED, OPEN = 0.1, 0.9
"""A gate beyond them passes hardly anything on to its own weights: it is saturated."""
OUTPUTS = 48
"""Of a layer, that tell of all how much flows back."""
TANH_GATES = frozenset({"n", "g"})
"""Of the gates of a form, those that are new values and no gates."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A layer and what it read of one sentence."""

    name: str
    layer: Layer
    x_TD: Tensor
    start: State | None


@dataclass(frozen=True, slots=True)
class GateShares:
    """How often a gate of a layer is closed and open."""

    layer: str
    gate: str
    closed: float
    """Share of activations below 0.1."""
    open: float
    """Share above 0.9."""


@torch.no_grad()
def read_inside(
    network: Network, source: Sequence[int], target: Sequence[int]
) -> tuple[list[Reading], Tensor]:
    """Return what each layer read of a sentence, and the attention, `weights_TS`.

    Args:
        source: ids, EOS included.
        target: ids, BOS included, and EOS.
    """
    device = next(network.parameters()).device
    source_BS, lengths_B = pad([source], device)
    target_BT, _ = pad([target], device)
    with _listen(network) as readings:
        memory, states = network.encode(source_BS, lengths_B)
        _, weights_BTS, _ = network.decode(target_BT[:, :-1], memory, states)
    return readings, weights_BTS[0]


@contextmanager
def _listen(network: nn.Module) -> Iterator[list[Reading]]:
    readings: list[Reading] = []

    def catch(name: str, layer: Layer, arguments: tuple[Any, ...]) -> None:
        start = arguments[1] if len(arguments) > 1 else None
        readings.append(Reading(name, layer, arguments[0][0], start))

    handles = [
        module.register_forward_pre_hook(
            lambda layer, arguments, name=name: catch(_title(name), layer, arguments)
        )
        for name, module in network.named_modules()
        if isinstance(module, Layer)
    ]
    try:
        yield readings
    finally:
        for handle in handles:
            handle.remove()


def _title(name: str) -> str:
    side, _, number, *direction = name.split(".")
    titles = {"forwards": " forwards", "backwards": " backwards"}
    return f"{side} {int(number) + 1}{titles[direction[0]] if direction else ''}"


def measure_flow(readings: Iterable[Reading]) -> dict[str, list[float]]:
    """Return for each layer the mean norm of dh_T/ds_t by how many steps t lies before T."""
    found: dict[str, list[list[float]]] = defaultdict(list)
    for reading in readings:
        norms = flow_back(reading.layer, reading.x_TD, reading.start, OUTPUTS)
        found[reading.name].append(norms[::-1])
    return {name: _mean(rows) for name, rows in found.items()}


def _mean(rows: Sequence[Sequence[float]]) -> list[float]:
    longest = max(map(len, rows))
    by_step = [[row[i] for row in rows if i < len(row)] for i in range(longest)]
    return [sum(values) / len(values) for values in by_step]


def measure_gates(readings: Iterable[Reading]) -> list[GateShares]:
    """Return how often each gate of each layer is closed and open; nothing if there are none."""
    activations: dict[tuple[str, str], list[Tensor]] = defaultdict(list)
    for reading in readings:
        for gate, values in _open_gates(reading).items():
            activations[reading.name, gate].append(values.flatten())
    return [_shares(*key, torch.cat(values)) for key, values in activations.items()]


def _shares(layer: str, gate: str, values: Tensor) -> GateShares:
    closed, is_open = (values < CLOSED).float().mean(), (values > OPEN).float().mean()
    return GateShares(layer, gate, float(closed), float(is_open))


@torch.no_grad()
def _open_gates(reading: Reading) -> dict[str, Tensor]:
    """Return the activations of the gates of a layer, `gate_TH` by name."""
    form, weights = reading.layer.cell.form, reading.layer.form_weights()
    before, after = _states(reading)
    h_TH = torch.cat([state[0] for state in before])
    sums_TG = (
        reading.x_TD @ weights["input_weight"].T
        + h_TH @ weights["hidden_weight"].T
        + weights["input_bias"]
        + weights["hidden_bias"]
    )
    gates = dict(zip(form.gates, sums_TG.chunk(len(form.gates), -1), strict=True))
    gates = {name: sums_TH for name, sums_TH in gates.items() if name not in TANH_GATES}
    if form.peepholes:
        old_TH, new_TH = (torch.cat([state[1] for state in states]) for states in (before, after))
        for gate, peephole_H in zip("iof", weights["peephole"].chunk(3), strict=True):
            gates[gate] = gates[gate] + peephole_H * (new_TH if gate == "o" else old_TH)
    return {name: sums_TH.sigmoid() for name, sums_TH in gates.items()}


def _states(reading: Reading) -> tuple[list[State], list[State]]:
    """Return the states before and after each position."""
    after: list[State] = []
    state = reading.start
    for x_D in reading.x_TD:
        _, state = reading.layer(x_D[None, None], state)
        after.append(state)
    first = reading.start or tuple(torch.zeros_like(part) for part in after[0])
    return [first, *after[:-1]], after
