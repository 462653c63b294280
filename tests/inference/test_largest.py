"""Clean-up: the largest part of an organ stays, and what goes is counted."""

from __future__ import annotations

import numpy as np

from dvcl.datasets.dataset import LabelTable
from dvcl.inference.largest import in_one_part, keep_largest
from dvcl.inference.seen import look_at_organs
from dvcl.volume import Geometry

LABELS = LabelTable.from_mapping({1: "liver", 2: "spleen", 3: "kidney"})
GRID = Geometry((8, 8, 8), np.diag([2.0, 3.0, 4.0, 1.0]))


def scattered() -> np.ndarray:
    """A liver in three parts, one of them inside the spleen's box, and a spleen in two."""
    classes = np.zeros((8, 8, 8), np.uint8)
    classes[:3, :3, :3] = 1
    classes[3, 3, 3] = 1  # touches it with a corner
    classes[6, 6, 6] = classes[0, 7, 7] = 1
    classes[5:, :2, 5:] = classes[6, 6, 7] = 2
    return classes


def test_the_largest_part_stays_and_the_rest_is_counted() -> None:
    classes = scattered()
    assert keep_largest(classes, ("liver", "kidney"), LABELS) == {"liver": 2}
    assert (classes == 1).sum() == 28
    assert classes[3, 3, 3] == 1
    assert (classes == 2).sum() == 19, "another organ is left alone"
    assert keep_largest(classes, ("liver",), LABELS) == {}


def test_an_organ_in_two_parts_anywhere_is_not_one_in_one_part() -> None:
    once = scattered()
    keep_largest(once, ("liver",), LABELS)
    maps = [look_at_organs(classes, GRID, LABELS) for classes in (once, once * (once == 1))]
    assert in_one_part(maps, LABELS) == ("liver",), "the spleen is in two, no kidney was seen"
    assert in_one_part([], LABELS) == ()


def test_the_distance_to_the_border_is_along_the_nearest_axis() -> None:
    classes = np.zeros((8, 8, 8), np.uint8)
    classes[2:4, 3:5, 4:6] = 1
    (organ,) = look_at_organs(classes, GRID, LABELS).values()
    assert (organ.border_mm, organ.at_border) == (4.0, False)
    classes[2, 3, 7] = 1
    (organ,) = look_at_organs(classes, GRID, LABELS).values()
    assert (organ.border_mm, organ.at_border) == (0.0, True)
