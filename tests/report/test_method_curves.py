"""Curves of methods: means and spread over seeds, a panel per organ."""

import math

import numpy as np
import pytest

from dvcl.report.method_curves import method_curves, over_seeds


def rows(*dice):
    return [
        {"kind": "validation", "iteration": 10 * i, "mean_dice": value,
         "dice": {"liver": value, "spleen": None}}
        for i, value in enumerate(dice, start=1)
    ]  # fmt: skip


RUNS = {"supervised": [rows(0.2, 0.4)], "dvcl": [rows(0.3, 0.5), rows(0.5, 0.9)]}


def test_means_over_the_seeds_that_have_a_value():
    seeds = [np.array([[10, 0.2], [20, 0.4]]), np.array([[10, 0.6], [20, math.nan], [30, 0.9]])]
    found = over_seeds(seeds)
    assert found[:, :2].tolist() == [[10, pytest.approx(0.4)], [20, 0.4], [30, 0.9]]
    assert found[0, 2] == pytest.approx(np.std([0.2, 0.6], ddof=1))
    assert np.isnan(found[1:, 2]).all()


def test_a_line_per_method_with_its_band():
    (axes,) = method_curves(RUNS).axes
    supervised, dvcl = axes.lines
    assert supervised.get_ydata().tolist() == [0.2, 0.4]
    assert dvcl.get_ydata().tolist() == pytest.approx([0.4, 0.7])
    band = axes.collections[1].get_paths()[0].vertices[:, 1]
    assert band.max() == pytest.approx(0.7 + np.std([0.5, 0.9], ddof=1))
    low, high = axes.get_ylim()
    assert (low, high) == pytest.approx((0.2, 1.0)), "the band is not cut"


def test_a_line_at_zero_is_above_the_axis():
    (axes,) = method_curves({"ccl": [rows(0.0, 0.0)], "dvcl": [rows(0.3, 0.5)]}).axes
    assert axes.get_ylim()[0] < -0.005


def test_a_panel_per_organ_and_one_legend_in_the_order_of_the_methods():
    figure = method_curves(RUNS, ["liver", "spleen"])
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["Validation Dice, liver (%)", "Validation Dice, spleen (%)"]
    assert not figure.axes[1].lines, "no validation case has it"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["supervised", "dvcl"]
    assert all(axes.get_legend() is None for axes in figure.axes)
