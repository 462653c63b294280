"""How methods learn: validation Dice over the iterations, averaged over seeds (DVCL, Fig. 4)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dvcl.evaluation.summary import spread
from dvcl.report.curves import Rows, dress_curves, mean_dice, organ_dice, style
from dvcl.report.figures import NAMES_IN, name_lines, show_zero

COLUMNS, PANEL_IN = 2, (3.3, 2.5)
MARKED = 12  # points; more would hide the dashes
EMPTY = np.empty((0, 2))


def method_curves(runs: Mapping[str, Sequence[Rows]], organs: Sequence[str] = ()) -> Figure:
    """Draw a line per method: its mean over seeds, in a faint band of one standard deviation.

    Args:
        runs: Method -> journal rows of every seed, as for `curves.training_curves`.
        organs: A panel each; without any, one panel of the mean over organs.
    """
    panels = {
        organ: {
            method: [organ_dice(rows).get(organ, EMPTY) for rows in seeds]
            for method, seeds in runs.items()
        }
        for organ in organs
    } or {
        "mean over organs": {
            method: [mean_dice(rows) for rows in seeds] for method, seeds in runs.items()
        }
    }
    columns = min(COLUMNS, len(panels))
    lines = math.ceil(len(panels) / columns)
    scale = 1.4 if len(panels) == 1 else 1.0
    size = (scale * PANEL_IN[0] * columns + NAMES_IN, scale * PANEL_IN[1] * lines)
    figure = Figure(size, layout="constrained", facecolor="white")
    grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    for axes, (name, methods) in zip(grid.flat, panels.items(), strict=False):
        for place, (method, seeds) in enumerate(methods.items()):
            _draw(axes, place, method, seeds)
        dress_curves(axes, f"Validation Dice, {name} (%)", dice=True)
        if legend := axes.get_legend():
            legend.remove()
        axes.label_outer()
    _cut_to_lines(list(grid.flat))
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    name_lines(figure)
    return figure


def over_seeds(seeds: Sequence[np.ndarray]) -> np.ndarray:
    """(n, 3) iteration, mean and standard deviation of the seeds that have a value there.

    Args:
        seeds: (n, 2) iterations and values of every seed; iterations may differ.
    """
    values: dict[float, list[float]] = {}
    for line in seeds:
        for iteration, value in line.tolist():
            values.setdefault(iteration, []).append(value)
    found = {iteration: spread(known) for iteration, known in sorted(values.items())}
    rows = [(iteration, dice.mean, dice.sd) for iteration, dice in found.items()]
    return np.array(rows).reshape(-1, 3)


def _draw(axes: Axes, place: int, name: str, seeds: Sequence[np.ndarray]) -> None:
    iterations, mean, sd = over_seeds(seeds).T
    if not np.isfinite(mean).any():
        return
    look = style(place)
    marker = "o" if len(mean) <= MARKED else ""
    axes.plot(iterations, mean, label=name, linewidth=1.4, marker=marker, ms=2.5, **look)
    axes.fill_between(
        iterations, mean - sd, mean + sd, color=look["color"], alpha=0.13, linewidth=0
    )


def _cut_to_lines(panels: Sequence[Axes]) -> None:
    """Show the tenths that hold lines and bands, in all panels the same: they share their axes."""
    drawn = [np.asarray(line.get_ydata(), float) for axes in panels for line in axes.lines]
    drawn += [
        np.asarray(path.vertices)[:, 1]
        for axes in panels
        for band in axes.collections
        for path in band.get_paths()
    ]
    values = np.concatenate(drawn) if drawn else EMPTY
    known = values[np.isfinite(values)]
    if known.size:
        low, high = np.floor(10 * known.min()) / 10, np.ceil(10 * known.max()) / 10
        panels[0].set_ylim(low, max(high, low + 0.1))
        show_zero(panels[0])
