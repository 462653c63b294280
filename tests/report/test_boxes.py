"""Box plots hold the cases that count; the curve of a setting its means and spreads."""

import math

import pytest

from dvcl.evaluation.cases import CaseScore
from dvcl.evaluation.summary import spread
from dvcl.report.boxes import organ_boxes
from dvcl.report.figures import save_figure
from dvcl.report.settings_curve import settings_curve


def row(organ, dice):
    return CaseScore("a", organ, dice, dice, 1.0, 1.0)


ORGANS = ("liver", "spleen", "aorta", "pancreas", "stomach")
SCORES = {
    "supervised": [row(organ, dice) for organ in ORGANS for dice in (0.2, 0.4, 0.6)],
    "dvcl": [row("liver", 0.5), row("liver", math.nan), row("liver", 0.7)],
}


def test_a_panel_per_organ_and_a_box_per_method_over_the_cases_that_have_it():
    figure = organ_boxes(SCORES)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in shown] == list(ORGANS)
    liver = shown[0]
    names = [label.get_text() for label in liver.get_yticklabels()]
    assert names == ["supervised", "dvcl"]
    medians = [line.get_xdata()[0] for line in liver.lines if line.get_linewidth() == 1.5]
    assert medians == pytest.approx([0.4, 0.6])


def test_the_lowest_panel_of_every_column_has_numbers_below():
    shown = [axes for axes in organ_boxes(SCORES).axes if axes.get_visible()]
    numbered = [axes.xaxis.get_tick_params()["labelbottom"] for axes in shown]
    assert numbered == [False, True, True, True, True]


def test_a_setting_has_a_point_per_value_with_its_spread():
    found = {"dvcl": {"5": spread([0.6, 0.8]), "10": spread([0.9])}, "cps": {"10": spread([0.5])}}
    (axes,) = settings_curve("methods.dvcl.neighbours", {"Dice": found}).axes
    dvcl, cps = axes.containers
    assert list(dvcl.lines[0].get_ydata()) == pytest.approx([0.7, 0.9])
    assert list(cps.lines[0].get_xdata()) == [1]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["5", "10"]
    assert axes.get_xlabel() == "methods.dvcl.neighbours"
    assert dvcl.lines[0].get_linestyle() == "-"


def test_every_score_has_a_panel_and_a_line_at_zero_is_above_the_axis():
    scores = {name: {"dvcl": {"5": spread([0.0, 0.2])}} for name in ("Dice", "Jaccard")}
    panels = settings_curve("x", scores).axes
    titles = [axes.get_title(loc="left") for axes in panels]
    assert titles == ["Mean test Dice (%)", "Mean test Jaccard (%)"]
    (axes,) = settings_curve("x", {"Dice": scores["Dice"]}, scored="validation").axes
    assert axes.get_title(loc="left") == "Mean validation Dice (%)"
    nothing = {"Dice": {"dvcl": {"5": spread([0.0]), "6": spread([0.4])}}}
    assert settings_curve("x", nothing).axes[0].get_ylim()[0] < -0.005


def test_words_are_not_joined_by_a_line_and_close_ticks_stay_apart():
    line = {value: spread([dice]) for value, dice in (("sum", 0.821), ("mean", 0.823))}
    figure = settings_curve("x", {"Dice": {"dvcl": line}})
    (axes,) = figure.axes
    assert axes.containers[0].lines[0].get_linestyle() == "None"
    figure.draw_without_rendering()
    ticks = [label.get_text() for label in axes.get_yticklabels()]
    assert len(set(ticks)) == len(ticks)


def test_numbers_stand_in_their_order_and_the_unchanged_one_is_marked():
    line = {value: spread([0.5]) for value in ("sum", "20", "1e1", "5.5")}
    (axes,) = settings_curve("x", {"Dice": {"dvcl": line}}, {"1e1"}).axes
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert names == ["5.5", "1e1\n(unchanged)", "20", "sum"]


def test_figures_are_written_for_screen_and_paper(tmp_path):
    save_figure(organ_boxes(SCORES), tmp_path / "boxes, 4.5 mm")
    assert (tmp_path / "boxes, 4.5 mm.png").read_bytes().startswith(b"\x89PNG")
    first = (tmp_path / "boxes, 4.5 mm.pdf").read_bytes()
    assert first.startswith(b"%PDF")
    save_figure(organ_boxes(SCORES), tmp_path / "boxes, 4.5 mm")
    assert (tmp_path / "boxes, 4.5 mm.pdf").read_bytes() == first
