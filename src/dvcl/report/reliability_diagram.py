"""How often organs are there where a probability says so: one panel per run, a line per organ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dvcl.datasets.organs import organ_colour
from dvcl.evaluation.calibration_error import CalibrationCounts
from dvcl.report.figures import QUIET, above, dress, name_lines
from dvcl.report.tables import TextTable, percent

PANEL_IN, COLUMNS = 2.6, 3
FEWEST = 100  # voxels of a point; fewer say little


def reliability_diagram(organs: Sequence[str], runs: Mapping[str, CalibrationCounts]) -> Figure:
    """Draw the frequency of every organ over its probability; on the diagonal both are equal.

    Args:
        organs: Names, in class order.
        runs: What was counted, by the name of the run.
    """
    columns = min(COLUMNS, len(runs))
    lines = math.ceil(len(runs) / columns)
    titles, further_in = above(runs, PANEL_IN)
    figure = Figure(
        (PANEL_IN * columns + 1.5, lines * (PANEL_IN + further_in)),
        layout="constrained", facecolor="white",
    )  # fmt: skip
    grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    for axes, (run, counts) in zip(grid.flat, runs.items(), strict=False):
        _draw(axes, organs, counts)
        dress(axes, titles[run])
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    for axes in grid[-1]:
        axes.set_xlabel("probability", size=9)
    for axes in grid[:, 0]:
        axes.set_ylabel("share of voxels", size=9)
    for axes in list(grid.flat)[len(runs) :]:
        axes.set_visible(False)
    name_lines(figure)
    return figure


def _draw(axes: Axes, organs: Sequence[str], counts: CalibrationCounts) -> None:
    axes.plot([0, 1], [0, 1], color=QUIET, linewidth=0.8, linestyle="--")
    for index, organ in enumerate(organs, start=1):
        enough = counts.voxels[index] >= FEWEST
        voxels = counts.voxels[index][enough]
        axes.plot(
            counts.confidence[index][enough] / voxels, counts.hits[index][enough] / voxels,
            label=organ, color=organ_colour(index), marker="o", markersize=3, linewidth=1.2,
        )  # fmt: skip


def calibration_table(organs: Sequence[str], runs: Mapping[str, CalibrationCounts]) -> TextTable:
    """The calibration error of every organ by every run, and the mean over organs."""
    errors = np.array([counts.error[1:] for counts in runs.values()]).T
    lines = zip(organs, errors.tolist(), strict=True)
    rows = [(organ, *map(percent, line)) for organ, line in lines]
    means = [counts.mean_error for counts in runs.values()]
    return TextTable(
        ("Organ", *runs),
        (*rows, ("Mean of organs", *map(percent, means))),
        "Calibration error in percent: mean distance between the probability of an organ and how "
        "often it is there, over the voxels that get it with 1 % or more, on the prepared grid.",
        means=1,
    )
