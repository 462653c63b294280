"""Curves: the right lines from the journal's rows, gaps where a value is missing."""

import numpy as np

from dvcl.datasets.organs import organ_colour
from dvcl.report.curves import training_curves, validation_curves
from dvcl.report.figures import png_bytes


def journal(steps=5):
    rows = []
    for step in range(1, steps + 1):
        terms = {"supervised": 1 / step} | ({"contrastive": 0.5} if step > 2 else {})
        rows.append({"iteration": step * 10, "kind": "step", "terms": terms})
    for iteration, spleen in ((20, None), (40, 0.6)):
        dice = {"liver": 0.8, "spleen": spleen}
        rows.append({"iteration": iteration, "kind": "validation", "dice": dice, "mean_dice": 0.7})
    return rows


def lines(axes):
    return {line.get_label(): line.get_xydata() for line in axes.lines}


def test_training_curves_draw_terms_mean_and_organs():
    losses, mean, organs = training_curves(journal()).axes
    assert lines(losses)["supervised"].tolist() == [[10 * n, 1 / n] for n in range(1, 6)]
    assert lines(losses)["contrastive"][:, 0].tolist() == [30, 40, 50], "a term may start late"
    assert lines(mean)["mean of organs"].tolist() == [[20, 0.7], [40, 0.7]]
    assert list(lines(organs)) == ["liver", "spleen"]


def test_organs_have_the_colours_of_the_pictures_and_a_line_at_zero_is_seen():
    _, mean, organs = training_curves(journal()).axes
    assert [line.get_color() for line in organs.lines] == [organ_colour(1), organ_colour(2)]
    assert mean.get_ylim()[0] < -0.005
    assert organs.get_ylim()[0] < -0.005


def test_missing_values_leave_a_gap():
    spleen = lines(training_curves(journal()).axes[2])["spleen"]
    assert np.isnan(spleen[0, 1])
    assert spleen[1].tolist() == [40, 0.6]


def test_long_runs_get_a_moving_mean_over_the_raw_line():
    losses = training_curves(journal(400)).axes[0]
    smooth = lines(losses)["contrastive"]
    np.testing.assert_allclose(smooth[:, 1], 0.5)
    assert len(losses.lines) == 4
    assert "moving mean" in losses.get_xlabel()


def test_several_runs_share_one_panel():
    figure = validation_curves({"dvcl": journal(), "mean teacher": journal()})
    (axes,) = figure.axes
    assert list(lines(axes)) == ["dvcl", "mean teacher"]
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["dvcl", "mean teacher"]


def test_names_stand_in_the_order_of_the_right_ends_of_the_lines():
    better = [row | {"mean_dice": 0.9} for row in journal()]
    (axes,) = validation_curves({"poor": journal(), "none": journal()[:5], "good": better}).axes
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["good", "poor"]


def test_many_runs_differ_in_colour_or_dashes():
    (axes,) = validation_curves({f"run {index}": journal() for index in range(20)}).axes
    # Dashes are kept in a private attribute: the public one reads "--" for all of them.
    styles = {(line.get_color(), str(line._unscaled_dash_pattern)) for line in axes.lines}
    assert len(styles) == 20


def test_a_run_that_has_just_begun():
    figure = training_curves([])
    assert png_bytes(figure)
    assert all(axes.texts[0].get_text() == "nothing recorded" for axes in figure.axes)
