"""How far each of many reaches, as bars side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.plots.style import FILE, GAIN, frame, write

ROW_INCHES = 0.24
PALE = 0.45


@dataclass(frozen=True, slots=True)
class Reach:
    """One bar; what was not measured has none."""

    label: str
    length: float | None
    goes_on: bool = False
    """Whether it reaches at least so far."""


def draw_reaches(file: FILE, panels: Sequence[tuple[str, Sequence[Reach]]], x_label: str) -> None:
    """Write a PNG of panels of bars that share their labels, from top to bottom."""
    height = 1.0 + ROW_INCHES * max(len(reaches) for _, reaches in panels)
    figure = Figure(figsize=(5 * len(panels), height), layout="constrained")
    for place, (title, reaches) in enumerate(panels, 1):
        axes = figure.add_subplot(1, len(panels), place)
        frame(axes, title, x_label, "")
        _draw(axes, reaches)
        axes.set_yticks(range(len(reaches)), [each.label for each in reaches] if place == 1 else [])
    write(figure, file)


def _draw(axes: Axes, reaches: Sequence[Reach]) -> None:
    longest = max((each.length or 0 for each in reaches), default=1) or 1
    for place, each in enumerate(reaches):
        length = each.length or 0
        axes.barh(place, length, color=GAIN, alpha=1 if each.goes_on else 1 - PALE, height=0.7)
        said = "not measured" if each.length is None else f"{length:g}"
        more = " and more" if each.goes_on else ""
        axes.annotate(
            said + more,
            (length, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=7.5,
        )
    axes.set_xlim(0, 1.3 * longest)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
