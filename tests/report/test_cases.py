"""Every case: a dot where it belongs, and a table that starts with the worst."""

import math

import numpy as np
import pytest

from dvcl.evaluation.cases import CaseScore
from dvcl.report.cases import case_dots, case_table
from dvcl.report.figures import png_bytes

NAN = math.nan


def row(case, organ, dice, predicted_ml=1.0):
    """A score; NaN means that the reference lacks the organ."""
    return CaseScore(case, organ, dice, dice, 0.0 if math.isnan(dice) else 1.0, predicted_ml)


SCORES = [
    row("a", "liver", 0.9),
    row("a", "spleen", 0.6),
    row("b", "liver", 0.5),
    row("b", "spleen", NAN, predicted_ml=2.25),
    row("c", "liver", NAN),
    row("c", "spleen", NAN, predicted_ml=0.0),
]


def test_a_dot_for_every_case_and_a_bar_at_the_mean():
    (axes,) = case_dots({"dvcl": SCORES}).axes
    dots, means = axes.lines
    assert dots.get_label() == "dvcl"
    np.testing.assert_equal(dots.get_xdata(), [0.9, 0.6, 0.5, NAN, NAN, NAN])
    assert list(dots.get_ydata()) == [0, 1, 0, 1, 0, 1]
    assert list(means.get_xdata()) == pytest.approx([0.7, 0.6])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["liver", "spleen"]


@pytest.mark.parametrize("runs", [1, 2, 5, 9])
def test_lines_of_runs_keep_apart_and_within_their_organ(runs):
    figure = case_dots({f"run {index}": SCORES for index in range(runs)})
    lines = [line.get_ydata() for line in figure.axes[0].lines[::2]]
    heights = [line[0] for line in lines]
    assert len(set(heights)) == runs
    assert np.abs(heights).max() < 0.5
    assert len(figure.legends) == (runs > 1)
    assert png_bytes(figure)


def test_table_starts_with_the_worst_case_and_shows_false_positives():
    table = case_table(SCORES)
    assert table.columns == ("Case", "Mean", "liver", "spleen")
    assert table.rows == (
        ("b", "50.00", "50.00", "– (2.2 ml)"),
        ("a", "75.00", "90.00", "60.00"),
        ("c", "–", "– (1.0 ml)", "–"),
    )
