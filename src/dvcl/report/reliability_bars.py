"""Per organ the share of reliable voxels beside the Dice, one panel per run (DVCL, Fig. 1a)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dvcl.report.figures import LINE_COLOURS, QUIET, above, dress

# As in the paper: blue for reliable voxels, orange for the Dice.
RELIABLE, RIGHT, DICE = LINE_COLOURS[5], LINE_COLOURS[0], LINE_COLOURS[4]

ORGAN_IN, FRAME_IN, PANEL_IN, NAMES_IN = 0.3, 0.85, 1.85, 1.45
BAR = 0.38
COLUMNS = 4


def reliability_bars(
    organs: Sequence[str], runs: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]]
) -> Figure:
    """Draw two bars per organ and run, with their percentages.

    Not in the paper: the part of the reliable voxels whose pseudo-label is right is darker.

    Args:
        organs: Names, from top to bottom.
        runs: Name of a run -> per organ the share of reliable voxels, that of reliable and right
            ones, and the mean Dice, each (organs,); NaN where an organ is absent.
    """
    columns = min(COLUMNS, len(runs))
    lines = math.ceil(len(runs) / columns)
    titles, further_in = above(runs, PANEL_IN)
    figure = Figure(
        (NAMES_IN + PANEL_IN * columns, lines * (ORGAN_IN * len(organs) + FRAME_IN + further_in)),
        layout="constrained", facecolor="white",
    )  # fmt: skip
    grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    for axes, (run, values) in zip(grid.flat, runs.items(), strict=False):
        _draw(axes, *values)
        dress(axes, titles[run], percent="x")
        axes.set(xlim=(0, 1.15), ylim=(len(organs) - 0.5, -0.5), xticks=[0, 0.5, 1])
        axes.set_yticks(range(len(organs)), organs, size=9)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
    for axes in list(grid.flat)[len(runs) :]:
        axes.set_visible(False)
    handles, names = grid.flat[0].get_legend_handles_labels()
    figure.legend(
        handles, [f"{name} (%)" for name in names], loc="outside lower center", ncols=3,
        frameon=False, fontsize=9,
    )  # fmt: skip
    return figure


def _draw(axes: Axes, reliable: np.ndarray, right: np.ndarray, dice: np.ndarray) -> None:
    places = np.arange(len(dice))
    for name, values, shift, colour in (
        ("Reliable", reliable, -BAR / 2, RELIABLE),
        ("and right", right, -BAR / 2, RIGHT),
        ("Dice", dice, BAR / 2, DICE),
    ):
        axes.barh(places + shift, np.nan_to_num(values), BAR, label=name, color=colour)
    for values, shift in ((reliable, -BAR / 2), (dice, BAR / 2)):
        for place, value in zip(places, values, strict=True):
            _label(axes, place + shift, value)


def _label(axes: Axes, place: float, value: float) -> None:
    """The percentage at the end of a bar."""
    absent = math.isnan(value)
    axes.text(
        0.02 if absent else value + 0.02, place, "absent" if absent else f"{100 * value:.0f}",
        va="center", size=6.5, color=QUIET if absent else "black",
    )  # fmt: skip
