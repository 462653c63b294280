"""Bars, maps and matrices of an inspection show the numbers that they are given."""

import math

import numpy as np
import pytest

from dvcl.datasets.organs import organ_colour
from dvcl.evaluation.feature_space import class_distances
from dvcl.report.distance_matrices import distance_matrices
from dvcl.report.feature_maps import BACKGROUND, feature_maps
from dvcl.report.reliability_bars import reliability_bars

NAMES = ("background", "liver", "spleen", "left adrenal gland")


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_two_bars_per_organ_with_their_percentages() -> None:
    values = {"vcl": ([0.25, 0.5], [0.2, 0.4], [0.9, 0.7]),
              "dvcl": ([0.3, 0.6], [0.1, 0.6], [0.95, 0.8])}  # fmt: skip
    runs = {
        name: tuple(np.array([*numbers, math.nan]) for numbers in rows)
        for name, rows in values.items()
    }
    figure = reliability_bars(NAMES[1:], runs)
    first, second = figure.axes
    widths = [bar.get_width() for bar in first.patches]
    assert widths == pytest.approx([0.25, 0.5, 0, 0.2, 0.4, 0, 0.9, 0.7, 0])
    assert texts(second) == ["30", "60", "absent", "95", "80", "absent"]
    assert [label.get_text() for label in first.get_yticklabels()] == list(NAMES[1:])
    assert second.get_title(loc="left") == "dvcl"


def test_voxels_are_coloured_by_class_and_marked_by_reliability() -> None:
    classes = np.array([0, 0, 1, 1, 2])
    places = np.arange(10.0).reshape(5, 2)
    reliable = np.array([True, False, True, True, False])
    figure = feature_maps(NAMES, classes, {"dvcl": places}, {"dvcl": reliable})
    sure, unsure = figure.axes[0].collections
    assert np.array_equal(sure.get_offsets(), places[[0, 2, 3]])
    assert np.array_equal(unsure.get_offsets(), places[[1, 4]])
    assert len(sure.get_paths()[0].vertices) != len(unsure.get_paths()[0].vertices)
    colours = [BACKGROUND, organ_colour(1), organ_colour(1)]
    expected = [[int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for colour in colours]
    assert np.allclose(sure.get_facecolors()[:, :3], expected)
    assert texts(figure.axes[0]) == ["0", "1", "2"]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"reliable", "unreliable", "1 liver", "3 left adrenal gland (absent)"} <= set(labels)


def test_matrices_hold_centres_beside_the_farthest_pairs_on_one_scale() -> None:
    features = np.array([[0.0, 0], [0, 2], [3, 1], [3, 1.5], [1, 1], [1, 1]])
    classes = np.array([0, 0, 1, 1, 2, 2])
    found = {
        name: class_distances(scale * features, classes, 4)
        for name, scale in (("vcl", 1.0), ("dvcl", 0.1))
    }
    figure = distance_matrices(NAMES, found)
    first, second = (axes for axes in figure.axes if axes.get_title(loc="left"))
    (image,), (small,) = first.images, second.images
    shown = image.get_array()
    assert shown[0, 0] == 2
    assert shown[1, 1] == 0.5
    assert shown[0, 1] == shown[1, 0] == pytest.approx(math.hypot(3, 0.25))
    assert np.isnan(np.ma.filled(shown[3], np.nan)).all()
    assert image.get_clim() == small.get_clim() == (0, pytest.approx(math.hypot(3, 0.25)))
    assert len(texts(first)) == 9
    assert {"2.00", ".50", "3.01"} <= set(texts(first))
    assert first.get_yticklabels()[3].get_text() == "left adrenal gland (absent) 3"
