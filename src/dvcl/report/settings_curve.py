"""What a setting does: the mean Dice at every value that was tried (DVCL, Fig. 8)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dvcl.evaluation.summary import Spread
from dvcl.report.figures import (
    LINE_COLOURS,
    LINE_DASHES,
    NAMES_IN,
    dress,
    name_lines,
    show_zero,
)

PANEL_IN, ALONE_IN, HIGH_IN = 4.2, 5.2, 3.4

Lines = Mapping[str, Mapping[str, Spread]]


def settings_curve(
    setting: str,
    scores: Mapping[str, Lines],
    unchanged: Collection[str] = (),
    scored: str = "test",
) -> Figure:
    """Draw a method's points over the values of a setting, with the spread over seeds.

    Numbers are joined by a line; between words there is nothing.

    Args:
        setting: Its name, below the axis.
        scores: Name of a score, a panel each -> method -> value, as it was typed -> mean over
            seeds. Numbers stand in their order, before other values.
        unchanged: Values that runs have which nobody changed; marked.
        scored: Which cases were scored, "test" or "validation".
    """
    found = next(iter(scores.values()))
    values = sorted({value for line in found.values() for value in line}, key=number_first)
    names = [f"{value}\n(unchanged)" if value in unchanged else value for value in values]
    width = ALONE_IN if len(scores) == 1 else PANEL_IN * len(scores)
    figure = Figure(
        (width + (NAMES_IN if len(found) > 1 else 0), HIGH_IN), layout="constrained",
        facecolor="white",
    )  # fmt: skip
    panels = figure.subplots(1, len(scores), squeeze=False)[0]
    for axes, (score, lines) in zip(panels, scores.items(), strict=True):
        _draw(axes, lines, values)
        dress(axes, f"Mean {scored} {score} (%)", percent="y")
        show_zero(axes)
        axes.set_xticks(range(len(values)), names)
        axes.set_xlabel(setting, size=9)
    name_lines(figure)
    return figure


def _draw(axes: Axes, lines: Lines, values: Sequence[str]) -> None:
    joined = all(number_first(value)[0] == 0 for value in values)
    for index, (method, line) in enumerate(lines.items()):
        known = [place for place, value in enumerate(values) if value in line]
        spreads = [line[values[place]] for place in known]
        axes.errorbar(
            known, [spread.mean for spread in spreads],
            yerr=[spread.sd for spread in spreads],  # NaN, for one seed, draws none
            label=method, color=LINE_COLOURS[index % len(LINE_COLOURS)], marker="o", markersize=4,
            linestyle=LINE_DASHES[index // len(LINE_COLOURS) % len(LINE_DASHES)] if joined else "",
            capsize=3,
        )  # fmt: skip


def number_first(value: str) -> tuple[int, float, str]:
    """Key to sort values by, as they were typed; equal for the same number."""
    try:
        return 0, float(value), ""
    except ValueError:
        return 1, 0.0, value
