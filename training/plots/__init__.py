"""Charts of what was found; all of matplotlib.

Every chart is a PNG: a file, or bytes for a page that holds its pictures.
"""

from training.plots.bars import Bar, draw_differences
from training.plots.heatmaps import Grid, draw_grids
from training.plots.lengths import Reach, draw_reaches
from training.plots.panels import Curve, Panel, draw_panels

__all__ = [
    "Bar",
    "Curve",
    "Grid",
    "Panel",
    "Reach",
    "draw_differences",
    "draw_grids",
    "draw_panels",
    "draw_reaches",
]
