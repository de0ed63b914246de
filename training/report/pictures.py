"""The pictures of a report, as PNG in the page itself."""

import base64
import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from training.plots import Curve, Grid, Panel, draw_grids, draw_panels
from training.report.inside import GateShares
from training.report.measured import Attended, DirectionReport

SMALLEST = 1e-8
"""Norms below are drawn there: a logarithm has no zero."""
Draw = Callable[[io.BytesIO], None]


def as_address(draw: Draw) -> str:
    """Return what an image's `src` may hold instead of a file."""
    file = io.BytesIO()
    draw(file)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def draw_curves(metrics: Sequence[Mapping[str, float]]) -> str:
    """Draw loss, dev score, learning rate, gradient norm and clip rate by step."""
    criterion = "dev_exact" if "dev_exact" in metrics[0] else "dev_bleu"
    named = {
        "loss": ("training loss", "nats a token"),
        criterion: ("dev", "BLEU" if criterion == "dev_bleu" else "exactly right, %"),
        "learning_rate": ("learning rate", ""),
        "gradient_norm": ("norm of the gradient before clipping", ""),
        "clip_rate": ("share of steps that were clipped", ""),
        "tokens_per_second": ("target tokens a second", ""),
    }
    steps = [line["step"] for line in metrics]
    panels = [
        Panel(title, "step", label, [Curve("", steps, [line[key] for line in metrics])])
        for key, (title, label) in named.items()
        if all(key in line for line in metrics)
    ]
    return as_address(lambda file: draw_panels(file, panels, columns=3))


def draw_flow(flow_by_layer: Mapping[str, Sequence[float]]) -> str:
    """Draw how much of the end hangs on each step before, one curve a layer."""
    panels = []
    for side in ("encoder", "decoder"):
        curves = [
            Curve(name, list(range(len(norms))), [max(norm, SMALLEST) for norm in norms])
            for name, norms in flow_by_layer.items()
            if name.startswith(side)
        ]
        title = f"{side}: |dh_T / ds_t|"
        panels.append(Panel(title, "steps back, T - t", "norm", curves, is_log=True, line=1.0))
    return as_address(lambda file: draw_panels(file, panels))


def draw_gates(gates: Sequence[GateShares]) -> str:
    """Draw how often gates are closed and open."""
    layers = list(dict.fromkeys(each.layer for each in gates))
    names = list(dict.fromkeys(each.gate for each in gates))
    shares = {(each.layer, each.gate): each for each in gates}
    grids = []
    for title, which in (("closed: below 0.1", "closed"), ("open: above 0.9", "open")):
        values = [[100 * getattr(shares[layer, gate], which) for gate in names] for layer in layers]
        grid = np.array(values)
        grids.append(Grid(f"{title}, %", grid, layers, names, limits=(0, 100), has_numbers=True))
    return as_address(lambda file: draw_grids(file, grids, columns=2))


def draw_attention(attended: Attended) -> str:
    """Draw what each target token attended to."""
    grid = Grid("", attended.weights_TS, attended.target, attended.source)
    return as_address(lambda file: draw_grids(file, [grid]))


def draw_lengths(direction: DirectionReport) -> str:
    """Draw BLEU by the length of the source."""
    buckets = direction.buckets
    middles = [(each.low + (each.high or each.low + 20)) / 2 for each in buckets]
    curves = [Curve("", middles, [each.bleu for each in buckets])]
    panel = Panel(f"{direction.direction}: BLEU by length", "words of the source", "BLEU", curves)
    return as_address(lambda file: draw_panels(file, [panel]))
