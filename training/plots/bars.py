"""Differences from nothing, as bars."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.plots.style import FRAME, GAIN, LOSS, write

ROW_INCHES = 0.27
OUTLIER = 5.0
"""Bars of more than so many medians are cut off, or one failure would flatten all the others."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart."""

    label: str
    value: float
    deviation: float = 0.0
    """Drawn as a whisker to both sides, unless it is 0."""


def draw_differences(path: Path, title: str, bars: Sequence[Bar], unit: str) -> None:
    """Write a PNG of differences from nothing, in the order given, from top to bottom."""
    figure = Figure(figsize=(9, 1.2 + ROW_INCHES * len(bars)), layout="constrained")
    axes = figure.add_subplot()
    limit = OUTLIER * statistics.median([abs(bar.value) for bar in bars] or [0.0])
    for place, bar in enumerate(bars):
        _draw_bar(axes, place, bar, limit)
    axes.set_yticks(range(len(bars)), [bar.label for bar in bars])
    axes.invert_yaxis()
    axes.axvline(0, color=FRAME, linewidth=0.8)
    axes.margins(x=0.12, y=0.01)
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel(unit)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    write(figure, path)


def _draw_bar(axes: Axes, place: int, bar: Bar, limit: float) -> None:
    is_cut = abs(bar.value) > limit
    value = max(-limit, min(limit, bar.value))
    deviation = 0.0 if is_cut else bar.deviation
    axes.barh(
        place,
        value,
        xerr=deviation or None,
        color=LOSS if value < 0 else GAIN,
        error_kw={"ecolor": FRAME, "capsize": 2},
        height=0.7,
    )
    side = -1 if value < 0 else 1
    axes.annotate(
        f"{bar.value:+.1f}{', cut off' if is_cut else ''}",
        (value + side * deviation, place),
        xytext=(3 * side, 0),
        textcoords="offset points",
        va="center",
        ha="right" if side < 0 else "left",
        fontsize=8,
    )
