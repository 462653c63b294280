"""The diagram and the table of calibration errors."""

import numpy as np
import pytest

from dvcl.datasets.organs import organ_colour
from dvcl.evaluation.calibration_error import BINS, CalibrationCounts
from dvcl.report.reliability_diagram import calibration_table, reliability_diagram


def counts(too_sure: float) -> CalibrationCounts:
    """1000 voxels of a first organ per bin, 10 of a second one."""
    middle = (np.arange(BINS) + 0.5) / BINS
    voxels = np.outer([0, 1000, 10], np.ones(BINS))
    return CalibrationCounts(
        voxels, voxels * np.maximum(0, middle - too_sure), voxels * middle, np.zeros(3)
    )


def test_points_are_frequencies_over_probabilities_of_bins_with_enough_voxels() -> None:
    figure = reliability_diagram(["liver", "spleen"], {"a": counts(0.05), "b": counts(0)})
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in panels] == ["a", "b"]
    diagonal, liver, spleen = panels[0].get_lines()
    assert diagonal.get_xydata().tolist() == [[0, 0], [1, 1]]
    assert liver.get_ydata() == pytest.approx(liver.get_xdata() - 0.05)
    assert liver.get_color() == organ_colour(1)
    assert len(spleen.get_xdata()) == 0


def test_the_table_has_errors_in_percent_and_their_mean() -> None:
    table = calibration_table(["liver", "spleen"], {"a": counts(0.05), "b": counts(0)})
    assert table.rows == (
        ("liver", "5.00", "0.00"), ("spleen", "5.00", "0.00"), ("Mean of organs", "5.00", "0.00"),
    )  # fmt: skip
