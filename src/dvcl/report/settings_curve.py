"""What a setting does: the mean Dice at every value that was tried (DVCL, Fig. 8)."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from matplotlib.figure import Figure

from dvcl.evaluation.summary import Spread
from dvcl.report.figures import LINE_COLOURS, LINE_DASHES, NAMES_IN, dress, name_lines


def settings_curve(
    setting: str,
    found: Mapping[str, Mapping[str, Spread]],
    unchanged: Collection[str] = (),
) -> Figure:
    """Draw a method's points over the values of a setting, with the spread over seeds.

    Numbers are joined by a line; between words there is nothing.

    Args:
        setting: Its name, below the axis.
        found: Method -> value, as it was typed -> mean Dice over seeds. Numbers stand in their
            order, before other values.
        unchanged: Values that runs have which nobody changed; marked.
    """
    figure = Figure(
        (5.2 if len(found) == 1 else 5.2 + NAMES_IN, 3.4), layout="constrained", facecolor="white"
    )
    axes = figure.subplots()
    values = sorted({value for line in found.values() for value in line}, key=number_first)
    joined = all(number_first(value)[0] == 0 for value in values)
    for index, (method, line) in enumerate(found.items()):
        known = [place for place, value in enumerate(values) if value in line]
        spreads = [line[values[place]] for place in known]
        axes.errorbar(
            known, [spread.mean for spread in spreads],
            yerr=[spread.sd for spread in spreads],  # NaN, for one seed, draws none
            label=method, color=LINE_COLOURS[index % len(LINE_COLOURS)], marker="o", markersize=4,
            linestyle=LINE_DASHES[index // len(LINE_COLOURS) % len(LINE_DASHES)] if joined else "",
            capsize=3,
        )  # fmt: skip
    dress(axes, "Mean test Dice (%)", percent="y")
    names = [f"{value}\n(unchanged)" if value in unchanged else value for value in values]
    axes.set_xticks(range(len(values)), names)
    axes.set_xlabel(setting, size=9)
    name_lines(figure)
    return figure


def number_first(value: str) -> tuple[int, float, str]:
    """Key to sort values by, as they were typed; equal for the same number."""
    try:
        return 0, float(value), ""
    except ValueError:
        return 1, 0.0, value
