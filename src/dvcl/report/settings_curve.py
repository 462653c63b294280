"""What a setting does: the mean Dice at every value that was tried (DVCL, Fig. 8)."""

from __future__ import annotations

import math
from collections.abc import Mapping

from matplotlib.figure import Figure

from dvcl.evaluation.summary import Spread
from dvcl.report.figures import LINE_COLOURS, LINE_DASHES, dress


def settings_curve(setting: str, found: Mapping[str, Mapping[str, Spread]]) -> Figure:
    """Draw a line per method over the values of a setting, with the spread over seeds.

    Args:
        setting: Its name, below the axis.
        found: Method -> value, as it was typed -> mean Dice over seeds.
    """
    figure = Figure((5.2, 3.4), layout="constrained", facecolor="white")
    axes = figure.subplots()
    values = list(dict.fromkeys(value for line in found.values() for value in line))
    for index, (method, line) in enumerate(found.items()):
        known = [place for place, value in enumerate(values) if value in line]
        spreads = [line[values[place]] for place in known]
        axes.errorbar(
            known, [spread.mean for spread in spreads],
            yerr=[0 if math.isnan(spread.sd) else spread.sd for spread in spreads],
            label=method, color=LINE_COLOURS[index % len(LINE_COLOURS)], marker="o", markersize=4,
            linestyle=LINE_DASHES[index // len(LINE_COLOURS) % len(LINE_DASHES)], capsize=3,
        )  # fmt: skip
    dress(axes, "Mean test Dice (%)", percent="y")
    axes.set_xticks(range(len(values)), values)
    axes.set_xlabel(setting, size=9)
    if len(found) > 1:
        axes.legend(frameon=False, fontsize=8)
    return figure
