"""Tables: numbers as text, the best stressed, what is undefined shown with its count."""

import io
import math
import re

import pytest
from rich.console import Console

from dvcl.evaluation.cases import CaseScore
from dvcl.evaluation.summary import summarise
from dvcl.report.tables import (
    TextTable,
    comparison_table,
    summary_table,
    to_markdown,
    to_rich,
)

NAN = math.nan


def summary(**organs):
    """Summary of one Dice value per case and organ."""
    return summarise(
        [
            CaseScore(
                f"case {case}",
                organ,
                dice,
                dice / (2 - dice),
                reference_ml=float(dice == dice),
                predicted_ml=float(dice != 0),
            )
            for organ, values in organs.items()
            for case, dice in enumerate(values)
        ]
    )


GOOD = summary(liver=[0.9, 0.8], left_kidney=[0.7, NAN], spleen=[NAN, NAN])
POOR = summary(liver=[0.5, 0.5], left_kidney=[0.7, NAN], spleen=[NAN, NAN])


def printed(table, width=100):
    output = io.StringIO()
    Console(file=output, width=width, force_terminal=True, color_system="standard").print(
        to_rich(table)
    )
    return output.getvalue()


def test_summary_in_percent_with_counts():
    table = summary_table(GOOD)
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["liver"][:2] == ("85.00", "7.07")
    assert rows["liver"][-3:] == ("2", "0", "0")
    assert rows["left_kidney"][:2] == ("70.00", "–")
    assert rows["left_kidney"][-3:] == ("1 of 2", "0", "1")
    assert rows["spleen"] == (*"–" * 5, "0 of 2", "0", "2")
    assert rows["Mean of organs (2 of 3)"][0] == "77.50"
    assert rows["Mean of organs (2 of 3)"][-2:] == ("0", "3")
    assert table.means == 1


def test_a_summary_with_long_names_fits_a_terminal_with_every_number_whole():
    lines = printed(summary_table(summary(right_adrenal_gland=[0.9, 0.8])), width=80).splitlines()
    (row,) = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines if "right_adrenal" in line]
    assert row.split() == ["right_adrenal_gland", "85.00", "7.07", "74.24", "–", "–", "2", "0", "0"]


def test_mean_row_names_the_number_of_organs():
    assert summary_table(summary(liver=[0.9])).rows[-1][0] == "Mean of organs (1)"


def test_captions_name_the_cases_that_were_scored():
    caption = summary_table(GOOD, scored="validation").caption
    assert caption.startswith("Mean and SD over 2 validation cases;")
    assert summary_table(GOOD).caption.startswith("Mean and SD over 2 cases;")
    caption = comparison_table({"good": GOOD}, scored="validation").caption
    assert "over the validation cases that have the organ." in caption
    assert "over the cases that have the organ" in comparison_table({"good": GOOD}).caption


def test_comparison_puts_methods_side_by_side():
    table = comparison_table({"poor": POOR, "good": GOOD})
    assert table.columns == ("Organ", "Cases", "poor", "good")
    assert table.rows[0] == ("liver", "2", "50.00", "85.00")
    assert table.rows[1] == ("left_kidney", "1 of 2", "70.00", "70.00")
    assert table.rows[2] == ("spleen", "0 of 2", "–", "–")
    means = ["Mean Dice", "Mean Jaccard", "Mean NSD", "Mean HD95, mm", "Organs missed"]
    assert [row[0] for row in table.rows[-table.means :]] == means


def test_comparison_with_the_spread_over_cases():
    rows = comparison_table({"poor": POOR, "good": GOOD}, sd=True).rows
    assert rows[0] == ("liver", "2", "50.00 ± 0.00", "85.00 ± 7.07")
    assert rows[1][2:] == ("70.00", "70.00"), "one case has no spread"
    assert rows[2][2:] == ("–", "–")


def test_missed_organs_are_counted_and_never_stressed():
    missing = summary(liver=[0.9, 0.0], left_kidney=[0.0, NAN])
    table = comparison_table({"good": GOOD, "missing": missing})
    assert table.rows[-1] == ("Organs missed", "", "0 of 3", "2 of 3")
    assert not {cell for cell in table.strong if cell[0] == len(table.rows) - 1}


def test_best_is_stressed_ties_as_printed_too_and_nothing_where_all_are_equal():
    strong = comparison_table({"poor": POOR, "good": GOOD, "same": GOOD}).strong
    assert {column for row, column in strong if row == 0} == {3, 4}
    assert not {column for row, column in strong if row == 1}
    assert not {column for row, column in strong if row == 2}


def test_one_method_alone_is_not_best():
    assert not comparison_table({"good": GOOD}).strong


def test_methods_with_other_organs_and_cases():
    table = comparison_table({"good": GOOD, "other": summary(aorta=[0.5], liver=[0.6])})
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["aorta"] == ("0–1", "–", "50.00")
    assert rows["left_kidney"] == ("0–1", "70.00", "–")
    assert rows["liver"] == ("1–2", "85.00", "60.00")


def test_markdown():
    table = TextTable(("Organ", "a"), (("liver|x", "1.00"), ("Mean", "–")), "Note", {(0, 1)}, 1)
    assert to_markdown(table) == (
        "| Organ    |        a |\n"
        "| :------- | -------: |\n"
        "| liver\\|x | **1.00** |\n"
        "| Mean     |        – |\n"
        "\n"
        "Note\n"
    )


def test_terminal_shows_every_cell():
    shown = printed(comparison_table({"poor": POOR, "good": GOOD}))
    assert "good" in shown
    assert "85.00" in shown
    assert re.search(r"\x1b\[1m *85\.00", shown), "the best is bold"
    assert not re.search(r"\x1b\[1m *50\.00", shown)


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_narrow_terminal_shows_every_number_whole(width):
    methods = {f"method {index}": summary(liver=[index / 10 + 0.05]) for index in range(8)}
    table = comparison_table(methods, caption="What it is.")
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in printed(table, width).splitlines()]
    assert max(map(len, lines)) <= width
    dice = [cell for line in lines if line.split()[:1] == ["liver"] for cell in line.split()[1:]]
    assert dice == list(table.rows[0][1:])
    assert sum("What it is." in line for line in lines) == 1


def test_a_name_that_is_wider_than_the_terminal_is_folded_and_not_cut():
    table = TextTable(("Organ", "Dice"), (("pulmonary_artery", "90.25"),))
    shown = re.sub(r"\x1b\[[0-9;]*m|[\s─]", "", printed(table, 16))
    assert shown.replace("90.25", "", 1) == "OrganDicepulmonary_artery"


def test_names_are_not_read_as_markup():
    assert "[red]liver" in printed(summary_table(summary(**{"[red]liver": [0.9]})))
