"""Per organ the share of reliable voxels beside the Dice, one panel per run (DVCL, Fig. 1a)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dvcl.report.figures import LINE_COLOURS, QUIET, dress

# As in the paper: blue for reliable voxels, orange for the Dice.
COLOURS = {"Reliable voxels": LINE_COLOURS[0], "Dice": LINE_COLOURS[4]}

ORGAN_IN, FRAME_IN, PANEL_IN, NAMES_IN = 0.3, 0.85, 1.85, 1.45
BAR = 0.38
COLUMNS = 4


def reliability_bars(
    organs: Sequence[str], shares: Mapping[str, np.ndarray], dice: Mapping[str, np.ndarray]
) -> Figure:
    """Draw two bars per organ and run, with their percentages.

    Args:
        organs: Names, from top to bottom.
        shares: Name of a run -> (organs,) share of reliable voxels; NaN where an organ is absent.
        dice: Of the same runs -> (organs,) mean Dice; NaN likewise.
    """
    columns = min(COLUMNS, len(shares))
    lines = math.ceil(len(shares) / columns)
    figure = Figure(
        (NAMES_IN + PANEL_IN * columns, lines * (ORGAN_IN * len(organs) + FRAME_IN)),
        layout="constrained", facecolor="white",
    )  # fmt: skip
    grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    for axes, run in zip(grid.flat, shares, strict=False):
        _draw(axes, dict(zip(COLOURS, (shares[run], dice[run]), strict=True)))
        dress(axes, run, percent="x")
        axes.set(xlim=(0, 1), ylim=(len(organs) - 0.5, -0.5), xticks=[0, 0.5, 1])
        axes.set_yticks(range(len(organs)), organs, size=9)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
    for axes in list(grid.flat)[len(shares) :]:
        axes.set_visible(False)
    handles, names = grid.flat[0].get_legend_handles_labels()
    figure.legend(
        handles, [f"{name} (%)" for name in names], loc="outside lower center", ncols=2,
        frameon=False, fontsize=9,
    )  # fmt: skip
    return figure


def _draw(axes: Axes, bars: Mapping[str, np.ndarray]) -> None:
    places = np.arange(len(next(iter(bars.values()))))
    for shift, (name, values) in zip((-BAR / 2, BAR / 2), bars.items(), strict=True):
        axes.barh(places + shift, np.nan_to_num(values), BAR, label=name, color=COLOURS[name])
        for place, value in zip(places, values, strict=True):
            _label(axes, place + shift, value)


def _label(axes: Axes, place: float, value: float) -> None:
    """The percentage at the end of a bar, inside it where there is no room beside it."""
    absent, inside = math.isnan(value), value > 0.85
    axes.text(
        0.02 if absent else value - 0.02 if inside else value + 0.02,
        place,
        "absent" if absent else f"{100 * value:.0f}",
        ha="right" if inside else "left",
        va="center",
        size=6.5,
        color=QUIET if absent else "white" if inside else "black",
    )
