"""Numbers on a grid as shades: attention, accuracy by two measures, a surface of errors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from training.plots.style import FILE, frame, write

SHADES = "Blues"
CELL_INCHES = 0.28
FEW_CELLS = 100
"""Up to which each number is written into its cell."""
DARK = 0.6
"""Of the range, above which letters are white."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Numbers with a label for each row and each column."""

    title: str
    values: NDArray[np.float64]
    rows: Sequence[str]
    columns: Sequence[str]
    x_label: str = ""
    y_label: str = ""
    limits: tuple[float, float] = (0.0, 1.0)
    has_numbers: bool = False


def draw_grids(
    file: FILE, grids: Sequence[Grid], columns: int = 1, cell_inches: float = CELL_INCHES
) -> None:
    """Write a PNG of grids, row by row."""
    columns = min(columns, len(grids))
    rows = -(-len(grids) // columns)
    widths = [_inches(grid.columns, grid.rows, cell_inches) for grid in grids]
    heights = [_inches(grid.rows, grid.columns, cell_inches) for grid in grids]
    size = (max(widths) * columns, max(heights) * rows)
    figure = Figure(figsize=size, layout="constrained")
    for place, grid in enumerate(grids, 1):
        _draw(figure.add_subplot(rows, columns, place), grid)
    write(figure, file)


def _inches(cells: Sequence[str], across: Sequence[str], cell_inches: float) -> float:
    """Return the room for so many cells and the longest label of the other side."""
    label = max(map(len, across), default=0)
    return max(3.2, 0.9 + cell_inches * len(cells) + 0.085 * label)


def _draw(axes: Axes, grid: Grid) -> None:
    low, high = grid.limits
    axes.imshow(grid.values, cmap=SHADES, vmin=low, vmax=high, aspect="auto")
    frame(axes, grid.title, grid.x_label, grid.y_label)
    upright = max(map(len, grid.columns), default=0) <= 2
    axes.set_xticks(range(len(grid.columns)), grid.columns, rotation=0 if upright else 90)
    axes.set_yticks(range(len(grid.rows)), grid.rows)
    axes.tick_params(length=0, labelsize=8)
    if grid.has_numbers and grid.values.size <= FEW_CELLS:
        for (row, column), value in np.ndenumerate(grid.values):
            is_dark = (value - low) > DARK * (high - low)
            axes.text(
                column,
                row,
                "" if np.isnan(value) else f"{value:.0f}",
                ha="center",
                va="center",
                fontsize=7,
                color="white" if is_dark else "black",
            )
