"""Box plots of the cases' Dice, by organ and method (DVCL, Fig. 10)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from dvcl.evaluation.cases import CaseScore
from dvcl.report.figures import LINE_COLOURS, QUIET, dress

COLUMNS = 4
LINE_IN, FRAME_IN, PANEL_IN, NAMES_IN = 0.19, 0.55, 2.1, 1.1


def organ_boxes(scores: Mapping[str, Sequence[CaseScore]]) -> Figure:
    """Draw a panel per organ, in it a box per method: quartiles, whiskers, outliers, the mean.

    Args:
        scores: Name and scores of a method, those of several seeds together, from top to bottom.
            A case whose reference lacks the organ does not count.
    """
    organs = list(dict.fromkeys(row.organ for rows in scores.values() for row in rows))
    columns = min(COLUMNS, len(organs))
    lines = math.ceil(len(organs) / columns)
    size = (NAMES_IN + PANEL_IN * columns, lines * (LINE_IN * len(scores) + FRAME_IN))
    figure = Figure(size, layout="constrained", facecolor="white")
    grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    places = list(range(len(scores), 0, -1))
    for axes, organ in zip(grid.flat, organs, strict=False):
        values = [_dice(rows, organ) for rows in scores.values()]
        axes.boxplot(
            values, positions=places, orientation="horizontal", widths=0.6, showmeans=True,
            boxprops={"color": QUIET}, whiskerprops={"color": QUIET}, capprops={"color": QUIET},
            medianprops={"color": LINE_COLOURS[0], "linewidth": 1.5},
            meanprops={"marker": "D", "markersize": 3.5, "markerfacecolor": LINE_COLOURS[1],
                       "markeredgecolor": "none"},
            flierprops={"marker": "o", "markersize": 2, "markeredgecolor": QUIET},
        )  # fmt: skip
        dress(axes, organ, percent="x")
        axes.set_yticks(places, list(scores))
        axes.grid(visible=False, axis="y")
    for place in range(len(organs), grid.size):
        grid.flat[place].set_visible(False)
        # What stands above has the last axis of its column.
        grid.flat[place - columns].tick_params(labelbottom=True)
    figure.supxlabel("Dice of every case (%): box quartiles, line median, diamond mean", size=9)
    return figure


def _dice(rows: Sequence[CaseScore], organ: str) -> np.ndarray:
    values = np.array([row.dice for row in rows if row.organ == organ])
    return values[~np.isnan(values)]
