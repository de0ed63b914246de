"""The classical figures as one picture and one table."""

from pathlib import Path

import numpy as np

from training.laboratory.classics import (
    STEPS,
    cliff_edge,
    climb,
    cobweb,
    find_fixed_points,
    gradients_of_recurrence,
    iterate,
    survey,
)
from training.markdown import Table
from training.plots import Curve, Grid, Panel, draw_grids, draw_panels

WEIGHTS = (0.9, 1.0, 1.1)
CLIFF_WEIGHT = 6.0
CLIFF_WEIGHTS = (4.5, 7.0)
CLIFF_BIASES = (-4.0, -2.0)
ATTRACTED = 1.5
"""A weight with three fixed points."""
SHADES = 60
FINE = 801
STEEPEST = 12.0
"""Powers of ten a gradient is drawn within."""


def tabulate_classics() -> Table:
    """Return the figures themselves."""
    rows = [
        (
            f"h = {weight:g} h, {STEPS} steps: dh_T/dh_0",
            f"{gradients_of_recurrence(weight)[0]:.4g}",
            f"{weight:g}^{STEPS}",
        )
        for weight in WEIGHTS
    ]
    rows += [
        (
            f"h = tanh({ATTRACTED:g} h): fixed point, slope of the map there",
            f"{point.place:.4f}, {point.slope:.4f}",
            "stable" if point.is_stable else "repels",
        )
        for point in find_fixed_points(ATTRACTED)
    ]
    edge = cliff_edge(CLIFF_WEIGHT)
    for side, shift in (("below", -0.2), ("at", 0.0), ("above", 0.2)):
        slope = climb(CLIFF_WEIGHT, edge + shift)
        error = f"error {slope.error:.3f}, gradient {slope.norm:.3g}"
        rows.append((f"cliff, w = {CLIFF_WEIGHT:g}, {side} b = {edge:.3f}", error, ""))
    return Table(("figure", "value", "known"), rows, 3)


def draw_classics(path: Path) -> None:
    """Write the picture of gradients, fixed points and the cliff cut through."""
    edge = cliff_edge(CLIFF_WEIGHT)
    biases = np.sort(np.append(np.linspace(*CLIFF_BIASES, FINE), [edge - 1e-7, edge + 1e-7]))
    slopes = [climb(CLIFF_WEIGHT, bias) for bias in biases.tolist()]
    panels = [
        _vanishing(),
        _iterated(),
        Panel(
            f"the cliff: error at w = {CLIFF_WEIGHT:g}",
            "b",
            f"error after {STEPS} steps",
            [Curve("", biases.tolist(), [slope.error for slope in slopes])],
        ),
        Panel(
            "the cliff: how steep it is there",
            "b",
            "norm of the gradient",
            [Curve("", biases.tolist(), [max(slope.norm, 1e-3) for slope in slopes])],
            is_log=True,
        ),
    ]
    draw_panels(path, panels)


def draw_cliff(path: Path) -> None:
    """Write the surface of the cliff's error seen from above."""
    weights = np.linspace(*CLIFF_WEIGHTS, SHADES)
    biases = np.linspace(*CLIFF_BIASES[::-1], SHADES)
    errors = survey(weights, biases)
    grid = Grid(
        f"error after {STEPS} steps of x = w sigmoid(x) + b",
        errors,
        [f"{bias:.1f}" if i % 10 == 0 else "" for i, bias in enumerate(biases)],
        [f"{weight:.1f}" if i % 10 == 0 else "" for i, weight in enumerate(weights)],
        x_label="w",
        y_label="b",
        limits=(0.0, float(errors.max())),
    )
    draw_grids(path, [grid], cell_inches=0.07)


def _vanishing() -> Panel:
    curves = [
        Curve(f"w = {weight:g}", list(range(STEPS + 1)), gradients_of_recurrence(weight)[::-1])
        for weight in WEIGHTS
    ]
    return Panel(
        "h = w h: the gradient back through time",
        "steps back",
        "dh_T / dh_t",
        curves,
        is_log=True,
    )


def _iterated() -> Panel:
    line = np.linspace(-1.2, 1.2, 121)
    curves = [
        Curve("", line.tolist(), line.tolist(), is_thin=True),
        Curve(f"tanh({ATTRACTED:g} h)", line.tolist(), np.tanh(ATTRACTED * line).tolist()),
        Curve("tanh(0.9 h)", line.tolist(), np.tanh(0.9 * line).tolist()),
    ]
    for weight, start, name in ((ATTRACTED, 0.1, "to 0.859"), (0.9, -1.1, "to 0")):
        curves.append(Curve(f"from {start:g} {name}", *cobweb(iterate(weight, start))))
    return Panel("where iteration ends: fixed points", "h_t", "h_t+1", curves)
