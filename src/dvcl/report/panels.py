"""Panels of an overlay sheet: planes by columns at one scale, with letters, bars and a legend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import AbstractPathEffect, withStroke

from dvcl.datasets.organs import organ_colour

# The longest bar that takes at most two fifths of the narrowest panel: it leaves the letter at the
# lower edge alone.
SCALE_BARS_MM = (100, 50, 20, 10, 5, 1)

# The panels share this width; fewer are larger, up to a limit, and many make the sheet wider.
SHEET_IN, LEAST_PANEL_IN, LARGEST_PANEL_IN = 10.0, 2.4, 4.2
GAP_IN, TITLE_IN, LEGEND_ROW_IN, LETTER_IN = 0.06, 0.34, 0.21, 0.066
BACKGROUND, INK = "#000000", "#f2f2f2"
# Keeps letters legible over bone.
OUTLINE: list[AbstractPathEffect] = [withStroke(linewidth=2.2, foreground=BACKGROUND)]


@dataclass(frozen=True)
class Plane:
    """A cut at right angles to one array axis, with the letters at its edges."""

    name: str
    axis: int
    left: str
    right: str
    top: str
    bottom: str


PLANES = (
    Plane("Axial", 0, "R", "L", "A", "P"),
    Plane("Coronal", 1, "R", "L", "S", "I"),
    Plane("Sagittal", 2, "A", "P", "S", "I"),
)


def lay_out(
    shape: Sequence[int], spacing_mm: Sequence[float], names: Sequence[str], organs: Sequence[str]
) -> tuple[Figure, np.ndarray]:
    """A figure whose panels (plane, column) have the proportions of their slices, at one scale.

    Args:
        shape: Of the volume to be drawn, in display orientation.
        spacing_mm: Likewise.
        names: Stand above the columns.
        organs: For the legend.

    Returns:
        The figure, and its axes (plane, column) in mm from the upper left corner.
    """
    columns = len(names)
    depth, height, width = (size * step for size, step in zip(shape, spacing_mm, strict=True))
    panel = max(LEAST_PANEL_IN, min(LARGEST_PANEL_IN, SHEET_IN / columns - GAP_IN))
    inch = panel / max(width, height)
    heights = [height * inch, depth * inch, depth * inch]
    across = columns * (panel + GAP_IN) + GAP_IN
    legend_rows, legend_columns = legend_shape(organs, across)
    legend_in = LEGEND_ROW_IN * legend_rows + 2 * GAP_IN
    size = (across, TITLE_IN + sum(heights) + 2 * GAP_IN + legend_in)
    figure = Figure(size, facecolor=BACKGROUND)
    panels = figure.subplots(
        len(PLANES),
        columns,
        squeeze=False,
        height_ratios=heights,
        gridspec_kw={
            "left": GAP_IN / size[0],
            "right": 1 - GAP_IN / size[0],
            "top": 1 - TITLE_IN / size[1],
            "bottom": legend_in / size[1],
            "wspace": GAP_IN / panel,
            "hspace": GAP_IN / (sum(heights) / len(heights)),
        },
    )
    for plane, row in zip(PLANES, panels, strict=True):
        down_mm, across_mm = np.delete((depth, height, width), plane.axis)
        for axes in row:
            axes.set(xlim=(0, across_mm), ylim=(down_mm, 0), aspect="equal")
            axes.set_axis_off()
    # Long names are set smaller, so that they stay above their column.
    title_size = min(10.5, 115 * across / columns / max(map(len, names)))
    for name, axes in zip(names, panels[0], strict=True):
        axes.set_title(name, color=INK, size=title_size, weight="bold", pad=7)
    bar_mm = scale_bar_mm(min(height, width))
    for plane, axes in zip(PLANES, panels[:, 0], strict=True):
        annotate(axes, plane, bar_mm)
    add_legend(figure, organs, legend_columns)
    return figure, panels


def scale_bar_mm(narrowest_mm: float) -> int:
    """Length of the bar for panels of which the narrowest is so wide."""
    fitting = (bar for bar in SCALE_BARS_MM if bar <= 0.4 * narrowest_mm)
    return next(fitting, SCALE_BARS_MM[-1])


def legend_shape(organs: Sequence[str], across: float) -> tuple[int, int]:
    """Rows and columns that fit into a width of ``across`` inches, the rows evenly filled."""
    entry_in = 0.42 + LETTER_IN * max(map(len, organs))
    rows = math.ceil(len(organs) / max(1, int(across / entry_in)))
    return rows, math.ceil(len(organs) / rows)


def add_legend(figure: Figure, organs: Sequence[str], columns: int, ink: str = INK) -> None:
    """Name the colours of all organs, in class order, along the lower edge."""
    figure.legend(
        handles=[
            Patch(color=organ_colour(index), label=organ)
            for index, organ in enumerate(organs, start=1)
        ],
        loc="lower center",
        ncols=columns,
        frameon=False,
        fontsize=8.5,
        labelcolor=ink,
        handlelength=1.0,
        handleheight=1.0,
        columnspacing=1.6,
        borderpad=0.3,
    )


def annotate(axes: Axes, plane: Plane, bar_mm: int) -> None:
    """Name the plane, mark directions, and draw a scale bar."""
    width, height = axes.get_xlim()[1], axes.get_ylim()[0]
    end, level = 0.97 * width, 0.96 * height
    for x, y, text, across, along in (
        (0.02 * width, 0.02 * height, plane.name, "left", "top"),
        (0.02 * width, 0.5 * height, plane.left, "left", "center"),
        (0.98 * width, 0.5 * height, plane.right, "right", "center"),
        (0.5 * width, 0.02 * height, plane.top, "center", "top"),
        (0.5 * width, 0.98 * height, plane.bottom, "center", "bottom"),
        (end, level - 0.02 * height, f"{bar_mm} mm", "right", "bottom"),
    ):
        note = axes.text(x, y, text, ha=across, va=along, size=8, color=INK)
        note.set_path_effects(OUTLINE)
    (bar,) = axes.plot((end - bar_mm, end), (level, level), color=INK, linewidth=1.6)
    bar.set_path_effects(OUTLINE)
