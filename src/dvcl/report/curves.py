"""Curves over a training run, drawn from the rows of its journal."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from dvcl.datasets.organs import organ_colour
from dvcl.report.figures import LINE_COLOURS, LINE_DASHES, QUIET, dress, show_zero

Rows = Sequence[Mapping[str, Any]]

# Above this many points the raw line is drawn faint, under its moving mean.
CROWDED_POINTS = 100


def training_curves(rows: Rows, title: str = "") -> Figure:
    """Draw one run: loss terms, mean validation Dice, and validation Dice of every organ.

    Args:
        rows: Journal rows: ``kind`` "step" with ``terms``, or "validation" with ``dice`` (organ
            to value) and ``mean_dice``; both with ``iteration``. None and NaN leave a gap.
        title: Stands above the panels.
    """
    figure = Figure((10.4, 3.6), layout="constrained", facecolor="white")
    losses, mean, organs = figure.subplots(1, 3, width_ratios=(1, 1, 1.4))
    _draw_terms(losses, rows)
    _draw_lines(mean, {"mean of organs": mean_dice(rows)})
    _draw_lines(organs, organ_dice(rows), organ_style)
    dress_curves(losses, "Loss terms")
    dress_curves(mean, "Validation Dice, mean (%)", dice=True)
    dress_curves(organs, "Validation Dice by organ (%)", dice=True, legend_outside=True)
    if title:
        figure.suptitle(title, size=12, weight="bold", x=0.01, ha="left")
    return figure


def validation_curves(runs: Mapping[str, Rows]) -> Figure:
    """Compare runs: mean validation Dice against the iteration, one line per run.

    Args:
        runs: Name in the legend and journal rows as in `training_curves`.
    """
    figure = Figure((7.5, 4.2), layout="constrained", facecolor="white")
    axes = figure.subplots()
    _draw_lines(axes, {name: mean_dice(rows) for name, rows in runs.items()})
    dress_curves(
        axes, "Validation Dice, mean over organs (%)", dice=True, legend_outside=len(runs) > 1
    )
    return figure


def mean_dice(rows: Rows) -> np.ndarray:
    """(n, 2) iterations and mean Dice of a run's validations."""
    return _points((row["iteration"], row["mean_dice"]) for row in _kind(rows, "validation"))


def organ_dice(rows: Rows) -> dict[str, np.ndarray]:
    """The same of every organ, NaN where no validation case has it."""
    return _by_name(_kind(rows, "validation"), "dice")


def _kind(rows: Rows, kind: str) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["kind"] == kind]


def _by_name(rows: Rows, key: str) -> dict[str, np.ndarray]:
    """Points of every name that occurs under ``key``; terms may start late in a run."""
    names = dict.fromkeys(name for row in rows for name in row[key])
    return {
        name: _points((row["iteration"], row[key][name]) for row in rows if name in row[key])
        for name in names
    }


def _points(pairs: Any) -> np.ndarray:
    """(n, 2) float64 of iteration and value; a missing value is NaN."""
    filled = [(x, math.nan if y is None else y) for x, y in pairs]
    return np.array(filled, dtype=np.float64).reshape(-1, 2)


def _draw_terms(axes: Axes, rows: Rows) -> None:
    terms = _by_name(_kind(rows, "step"), "terms")
    crowded = {name: line for name, line in terms.items() if len(line) > CROWDED_POINTS}
    for index, line in enumerate(crowded.values()):
        axes.plot(*line.T, color=style(index)["color"], alpha=0.25, linewidth=0.6)
    if crowded:
        axes.set_xlabel("Iteration (bold: moving mean)", size=9)
    smooth = {name: _moving_mean(line) if name in crowded else line for name, line in terms.items()}
    _draw_lines(axes, smooth)


def _draw_lines(
    axes: Axes, lines: Mapping[str, np.ndarray], look: Callable[[int], dict[str, Any]] | None = None
) -> None:
    for index, (name, line) in enumerate(lines.items()):
        if not len(line):
            continue
        marker = "o" if len(line) <= 30 else ""
        axes.plot(*line.T, label=name, linewidth=1.5, marker=marker, ms=3, **(look or style)(index))


def style(index: int) -> dict[str, Any]:
    """Colour and dashes of the line in this place."""
    round_, place = divmod(index, len(LINE_COLOURS))
    return {"color": LINE_COLOURS[place], "linestyle": LINE_DASHES[round_ % len(LINE_DASHES)]}


def organ_style(index: int) -> dict[str, Any]:
    """Colour of an organ's line as in all pictures, and dashes, as pale colours stand on white."""
    return {"color": organ_colour(index + 1), "linestyle": style(index)["linestyle"]}


def _moving_mean(line: np.ndarray) -> np.ndarray:
    """Mean over a centred window of 1/40 of the points; NaN where the window is not full."""
    window = max(3, len(line) // 40) | 1
    half = window // 2
    means = np.convolve(line[:, 1], np.full(window, 1 / window), mode="valid")
    return np.column_stack([line[half:-half, 0], means])


def dress_curves(axes: Axes, title: str, dice: bool = False, legend_outside: bool = False) -> None:
    """The look of a panel over iterations; the legend inside, or in the order of the right ends."""
    dress(axes, title, percent="y" if dice else "")
    axes.set_xlabel(axes.get_xlabel() or "Iteration", size=9)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    if dice:
        axes.set_ylim(0, 1)
        show_zero(axes)
    if not axes.lines:
        axes.text(0.5, 0.5, "nothing recorded", ha="center", transform=axes.transAxes, color=QUIET)
    elif legend_outside:
        # The names stand in the order of the lines' right ends.
        handles = sorted(axes.lines, key=_last_value, reverse=True)
        axes.legend(
            handles=handles, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8
        )
    elif len(axes.lines) > 1 or not dice:
        axes.legend(frameon=False, fontsize=8)


def _last_value(line: Line2D) -> float:
    values = np.asarray(line.get_ydata())
    defined = values[~np.isnan(values)]
    return float(defined[-1]) if defined.size else -math.inf
