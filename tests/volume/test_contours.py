"""Outlines of slices hold the very voxels that they were drawn around."""

from __future__ import annotations

import numpy as np
import pytest

from dvcl.volume.contours import fill, outlines

RING = np.zeros((9, 11), bool)
RING[1:8, 1:10] = True
RING[2:7, 3:6] = RING[4, 8] = False  # two holes
RING[4, 4] = True  # and an island in one of them


def filled(polygons: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    plane = np.zeros(shape, bool)
    for polygon in polygons:
        fill(plane, polygon)
    return plane


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.7, 0.95, 1])
@pytest.mark.parametrize("rounded", [False, True])
def test_what_is_drawn_is_what_is_read(share: float, rounded: bool) -> None:
    for seed in range(20):
        plane = np.random.default_rng(seed).random((14, 17)) < share
        polygons = outlines(plane)
        if rounded:  # as the decimals of a file are
            polygons = [np.round(polygon * 0.7 + 3, 4) / 0.7 - 3 / 0.7 for polygon in polygons]
        assert np.array_equal(filled(polygons, plane.shape), plane)


def test_holes_hang_on_their_polygon() -> None:
    polygons = outlines(RING)
    assert len(polygons) == 2, "the ring with both holes, and the island"
    assert np.array_equal(filled(polygons, RING.shape), RING)


def test_straight_sides_have_no_points_between_their_ends() -> None:
    plane = np.zeros((30, 30), bool)
    plane[5:25, 5:25] = True
    (polygon,) = outlines(plane)
    assert len(polygon) == 8, "corners are cut"
    assert polygon.min(axis=0).tolist() == [4.5, 4.5]


def test_what_lies_outside_the_slice_is_left_out() -> None:
    square = np.array([[-3.5, -3.5], [2.5, -3.5], [2.5, 2.5], [-3.5, 2.5]])
    assert np.argwhere(filled([square], (4, 4))).max() == 2
