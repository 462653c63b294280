"""Distances between and within classes, one matrix per run (DVCL, Fig. 9b)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from dvcl.evaluation.feature_space import ClassDistances
from dvcl.report.figures import above

WIDTH_IN, NAMES_IN, FRAME_IN = 7.4, 1.35, 0.45
LARGEST_CELL_IN = 0.5
# More classes, and numbers of three panels side by side would be too small to read.
CROWDED = 8
COLOURS = "cividis"
ABSENT = "#e8e8e8"


def distance_matrices(names: Sequence[str], found: Mapping[str, ClassDistances]) -> Figure:
    """Draw centre distances off the diagonal, and the farthest features of a class on it, framed.

    Args:
        names: (K,) of the classes.
        found: Name of a run -> its distances, all on one scale of colours. What is NaN is grey.
    """
    columns = min(len(found), 2 if len(names) > CROWDED else 3)
    lines = math.ceil(len(found) / columns)
    cell = min(LARGEST_CELL_IN, (WIDTH_IN - NAMES_IN - 0.6) / columns / len(names))
    width = NAMES_IN + 0.6 + columns * (cell * len(names) + 0.1)
    titles, further_in = above(found, cell * len(names))
    figure = Figure(
        (width, lines * (cell * len(names) + FRAME_IN + further_in)),
        layout="constrained", facecolor="white",
    )  # fmt: skip
    grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    tables = {run: _table(distances) for run, distances in found.items()}
    largest = max(np.nanmax(table, initial=0) for table in tables.values())
    for axes, (run, table) in zip(grid.flat, tables.items(), strict=False):
        image = _draw(axes, table, largest, cell)
        axes.set_title(titles[run], loc="left", size=10, weight="bold")
        absent = np.isnan(np.diagonal(table))
        labels = [
            f"{name}{' (absent)' if gone else ''} {index}"
            for index, (name, gone) in enumerate(zip(names, absent, strict=True))
        ]
        axes.set_yticks(range(len(names)), labels, size=8)
        axes.set_xticks(range(len(names)), range(len(names)), size=8)
        axes.tick_params(length=0)
    for axes in list(grid.flat)[len(found) :]:
        axes.set_visible(False)
    bar = figure.colorbar(image, ax=grid, shrink=0.8, aspect=30)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    return figure


def _table(distances: ClassDistances) -> np.ndarray:
    table = distances.centres.copy()
    np.fill_diagonal(table, distances.farthest)
    return table


def _draw(axes: Axes, table: np.ndarray, largest: float, cell_in: float) -> AxesImage:
    image = axes.imshow(table, cmap=COLOURS, vmin=0, vmax=largest)
    axes.set_facecolor(ABSENT)
    for (row, column), value in np.ndenumerate(table):
        if not math.isnan(value):
            # Of a value below 1 the decimals alone: small cells have room for three signs.
            axes.text(
                column, row, f"{value:.2f}".removeprefix("0"), ha="center", va="center",
                size=min(8, 26 * cell_in), color="white" if value < 0.55 * largest else "black",
            )  # fmt: skip
    for index in range(len(table)):
        corner = (index - 0.5, index - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor="black", linewidth=0.8))
    axes.spines[:].set_visible(False)
    return image
