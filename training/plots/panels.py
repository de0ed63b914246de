"""Curves: one panel beside the other, each with its own axes."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from training.plots.style import COLOURS, FILE, FRAME, STROKES, frame, write

PANEL_INCHES = (5.0, 3.4)
COLUMNS = 2
MANY_POINTS = 40
"""Above which points are not marked one by one."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Points, joined in their order."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    is_thin: bool = False
    """Whether it is there to be compared with, and drawn pale."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Curves on the same axes."""

    title: str
    x_label: str
    y_label: str
    curves: Sequence[Curve]
    is_log: bool = False
    """Whether the vertical axis is logarithmic."""
    limits: tuple[float, float] | None = None
    """Of the vertical axis."""
    has_whole_x: bool = False
    """Whether what is counted on the horizontal axis has no fractions."""
    line: float | None = None
    """A height to compare with."""


def draw_panels(file: FILE, panels: Sequence[Panel], columns: int = COLUMNS) -> None:
    """Write a PNG of panels, row by row."""
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    width, height = PANEL_INCHES
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    for place, panel in enumerate(panels, 1):
        _draw(figure.add_subplot(rows, columns, place), panel)
    write(figure, file)


def _draw(axes: Axes, panel: Panel) -> None:
    frame(axes, panel.title, panel.x_label, panel.y_label)
    axes.set_yscale("log" if panel.is_log else "linear")
    shown = [curve for curve in panel.curves if not curve.is_thin]
    for curve in (each for each in panel.curves if each.is_thin):
        axes.plot(curve.x, curve.y, color=FRAME, linewidth=0.8, alpha=0.8)
    for place, curve in enumerate(shown):
        _draw_curve(axes, curve, place)
    if any(curve.label for curve in shown):
        axes.legend(fontsize=7, frameon=False)
    _measure(axes, panel)


def _measure(axes: Axes, panel: Panel) -> None:
    if panel.limits is not None:
        axes.set_ylim(*panel.limits)
    if panel.line is not None:
        axes.axhline(panel.line, color=FRAME, linewidth=0.8, linestyle=":")
    if panel.has_whole_x:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", linewidth=0.4, alpha=0.5)


def _draw_curve(axes: Axes, curve: Curve, place: int) -> None:
    axes.plot(
        curve.x,
        curve.y,
        STROKES[place // len(COLOURS) % len(STROKES)],
        label=curve.label,
        color=COLOURS[place % len(COLOURS)],
        marker="o" if len(curve.x) <= MANY_POINTS else "",
        markersize=3,
        linewidth=1.4,
    )
