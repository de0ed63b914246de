"""What all charts share: colours, frames and how they are written."""

from pathlib import Path
from typing import IO

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe & Ito 2008: told apart by the colour-blind too
GAIN, LOSS, FRAME = "#0072B2", "#D55E00", "#555555"
COLOURS = (GAIN, LOSS, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8A8A2A")
STROKES = ("-", "--", "-.", ":")
"""Of curves beyond as many as there are colours."""
FILE = str | Path | IO[bytes]


def write(figure: Figure, file: FILE) -> None:
    """Write a figure as PNG; the same figures make the same file."""
    # without the version of matplotlib
    figure.savefig(file, format="png", dpi=110, metadata={"Software": None})


def frame(axes: Axes, title: str, x_label: str, y_label: str) -> None:
    """Label axes, and leave no more lines than are needed."""
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel(x_label, fontsize=9)
    axes.set_ylabel(y_label, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
