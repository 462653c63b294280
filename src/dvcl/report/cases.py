"""Every single case: a dot per case and organ, and a table of a run's cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from dvcl.evaluation.cases import CaseScore
from dvcl.evaluation.summary import summarise
from dvcl.report.figures import LINE_COLOURS, dress
from dvcl.report.tables import UNDEFINED, TextTable, percent

# Runs differ in shape too, for readers who see no colour and for black-and-white print.
MARKERS = "osD^vPX"

LINE_IN, GAP_IN, FRAME_IN, WIDTH_IN = 0.11, 0.14, 0.9, 8.0


def case_dots(scores: Mapping[str, Sequence[CaseScore]]) -> Figure:
    """Draw the Dice of every case and organ, one line of dots per run, a bar at its mean.

    Args:
        scores: Name in the legend and scores of a run, in the order of the lines. An organ that a
            reference lacks has no dot.
    """
    organs = list(dict.fromkeys(row.organ for rows in scores.values() for row in rows))
    row_in = LINE_IN * len(scores) + GAP_IN
    figure = Figure(
        (WIDTH_IN, row_in * len(organs) + FRAME_IN), layout="constrained", facecolor="white"
    )
    axes = figure.subplots()
    for place, (name, rows) in enumerate(scores.items()):
        colour = LINE_COLOURS[place % len(LINE_COLOURS)]
        shift = (place - (len(scores) - 1) / 2) * LINE_IN / row_in
        axes.plot(
            [row.dice for row in rows],
            [organs.index(row.organ) + shift for row in rows],
            MARKERS[place % len(MARKERS)],
            label=name,
            color=colour,
            markersize=4.5,
            alpha=0.7,
            markeredgewidth=0,
            # A Dice of 0 lies on the axis: shown whole, above it.
            clip_on=False,
            zorder=3,
        )
        means = [organ.dice.mean for organ in summarise(rows).organs]
        lines = [organs.index(organ.organ) + shift for organ in summarise(rows).organs]
        axes.plot(means, lines, "|", color=colour, markersize=9, markeredgewidth=2)
    for index in range(0, len(organs), 2):
        axes.axhspan(index - 0.5, index + 0.5, color="#f3f4f5", zorder=0)
    axes.set(ylim=(len(organs) - 0.5, -0.5), xlim=(0, 1))
    dress(axes, "Dice of every case (%)", percent="x")
    axes.set_yticks(range(len(organs)), organs, size=9)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    if len(scores) > 1:
        figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def case_table(scores: Sequence[CaseScore]) -> TextTable:
    """Dice in percent of every case (row) and organ (column) of one run, the worst case first."""
    summary = summarise(scores)
    organs = [organ.organ for organ in summary.organs]
    cells = {(row.case, row.organ): _cell(row) for row in scores}
    unranked = [case for case in summary.case_dice if case not in summary.ranking]
    return TextTable(
        ("Case", "Mean", *organs),
        tuple(
            (case, percent(summary.case_dice[case]), *(cells[case, organ] for organ in organs))
            for case in (*reversed(summary.ranking), *unranked)
        ),
        f"Dice in percent, the worst case first. {UNDEFINED}: the reference lacks the organ; "
        "volumes in ml: what the prediction has of it all the same.",
    )


def _cell(score: CaseScore) -> str:
    false_positive = score.reference_ml == 0 < score.predicted_ml
    return percent(score.dice) + (f" ({score.predicted_ml:.1f} ml)" if false_positive else "")
