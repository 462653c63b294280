"""Rows under headings: not run, undefined and best cells."""

import math

from dvcl.evaluation.summary import Spread
from dvcl.report.lines import Line, lines_table


def value(mean, sd=math.nan):
    return Spread(mean, sd, 1, 0)


def test_cells_and_the_best_of_every_column():
    lines = [
        Line("w/o", ("MT",), [value(0.5), value(0.6, 0.01)]),
        Line("w/o", ("CPS",), [value(math.nan), None]),
        Line("w/", ("Ours",), [value(0.4), value(0.7, 0.02)]),
    ]
    table = lines_table(["Method"], ["liver", "Mean"], lines)
    assert table.columns == ("", "Method", "liver", "Mean")
    assert table.rows == (
        ("w/o", "MT", "50.00", "60.00 ± 1.00"),
        ("w/o", "CPS", "–", "not run"),
        ("w/", "Ours", "40.00", "70.00 ± 2.00"),
    )
    assert table.strong == {(0, 2), (2, 3)}
    assert (table.names, table.grouped) == (2, True)


def test_without_headings_there_is_no_column_for_them():
    line = Line("", ("5", "10"), [value(0.5)])
    table = lines_table(["K", "K'"], ["Mean", "paper"], [line])
    assert table.columns == ("K", "K'", "Mean", "paper")
    assert table.rows == (("5", "10", "50.00", ""),)
    assert not table.strong, "one value is not the best of anything"
    assert (table.names, table.grouped) == (2, False)
