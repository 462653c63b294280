"""Rows of methods: mean and spread over seeds, the best of each column stressed."""

import math

import pytest

from dvcl.evaluation.cases import CaseScore
from dvcl.evaluation.summary import summarise
from dvcl.report.exports import to_csv, to_latex
from dvcl.report.seeds import organs_table, seeds_table
from dvcl.report.tables import TextTable


def seed(liver, spleen, hd95):
    return summarise(
        [
            CaseScore("a", organ, dice, dice / 2, 1.0, 1.0, hd95_mm=hd95, assd_mm=hd95, nsd=dice)
            for organ, dice in (("liver", liver), ("spleen", spleen))
        ]
    )


RUNS = {"old": [seed(0.5, 0.7, 9.0)], "new": [seed(0.6, 0.8, 4.0), seed(0.8, 0.6, 6.0)]}


def test_means_and_spread_over_seeds():
    table = seeds_table(RUNS, {"old": 0.25, "new": 1.0})
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["old"] == ("1", "60.00", "not scored", "30.00", "60.00", "9.0", "9.00", "0.25")
    assert rows["new"][:2] == ("2", "70.00 ± 0.00")
    assert rows["new"][5] == "5.0 ± 1.4"


def test_last_weights_stand_beside_those_of_the_best_validation():
    last = {"old": [seed(0.4, 0.6, 9.0)], "new": [seed(0.5, 0.5, 9.0)]}
    table = seeds_table(RUNS, dict.fromkeys(RUNS, 1.0), last)
    assert table.columns[2:4] == ("Dice %", "Dice %, last")
    assert [row[3] for row in table.rows] == ["50.00", "not scored"], "not of all its seeds"


def test_collapsed_trainings_are_marked():
    found = {"new": {1: "never finds spleen"}}
    for table in (
        seeds_table(RUNS, dict.fromkeys(RUNS, 1.0), {}, found),
        organs_table(RUNS, found),
    ):
        assert [row[0] for row in table.rows] == ["old", "new †"]
        assert "new with seed 1 never finds spleen." in table.caption


def test_the_highest_overlap_and_the_lowest_distance_are_stressed():
    table = seeds_table(RUNS, dict.fromkeys(RUNS, 1.0))
    assert table.strong == {(1, column) for column in (2, 4, 5, 6, 7)}
    same = seeds_table({"a": RUNS["old"], "b": RUNS["old"]}, {"a": 1.0, "b": 1.0})
    assert not same.strong


def test_organs_are_columns_and_undefined_ones_dashes():
    nothing = [seed(math.nan, 0.9, math.nan)]
    table = organs_table(RUNS | {"none": nothing})
    assert table.columns == ("Method", "liver", "spleen", "Mean")
    assert table.rows[1] == ("new", "70.00 ± 14.14", "70.00 ± 14.14", "70.00 ± 0.00")
    assert table.rows[2] == ("none", "–", "90.00", "90.00")
    assert (2, 1) not in table.strong
    assert {(1, 1), (2, 2), (2, 3)} == table.strong


TABLE = TextTable(
    ("Method", "Dice %"), (("a_b & c", "1.0 ± 0.5"), ("Mean", "–")), "50 % of it", {(0, 1)}, 1
)


def test_latex_escapes_and_stresses():
    assert to_latex(TABLE) == (
        "% 50 % of it\n\\begin{tabular}{lr}\n\\toprule\nMethod & Dice \\% \\\\\n\\midrule\n"
        "a\\_b \\& c & \\textbf{1.0 $\\pm$ 0.5} \\\\\n\\midrule\nMean & -- \\\\\n"
        "\\bottomrule\n\\end{tabular}\n"
    )


def test_csv_has_the_cells():
    assert to_csv(TABLE) == "Method,Dice %\na_b & c,1.0 ± 0.5\nMean,–\n"


@pytest.mark.parametrize("table", [seeds_table(RUNS, {"old": 1, "new": 1}), organs_table(RUNS)])
def test_captions_say_over_what(table):
    assert "standard deviation over seeds" in table.caption
