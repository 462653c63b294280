"""Outlines of a mask's slices as polygons, and back: the same voxels, exactly."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np


def outlines(plane: np.ndarray) -> list[np.ndarray]:
    """Polygons around the True voxels of a slice, halfway to their neighbours.

    A hole is joined to its polygon by a channel without width, as DICOM wants it: a polygon is
    inside where a line to it from far away crosses its edges an odd number of times.

    Args:
        plane: bool (H, W).

    Returns:
        Of each polygon (N, 2) points (x, y) in voxels, the first not repeated.
    """
    import contourpy

    around: Any = contourpy.contour_generator(
        z=np.pad(plane.astype(np.float64), 1), fill_type="OuterOffset"
    )
    points, offsets = around.filled(0.5, 2.0)
    polygons = []
    for of_one, ends in zip(points, offsets, strict=True):
        outer, *holes = (_corners(of_one[a : b - 1] - 1) for a, b in pairwise(ends.tolist()))
        for hole in holes:
            outer = _joined(outer, hole)
        polygons.append(outer)
    return polygons


def fill(plane: np.ndarray, polygon: np.ndarray) -> None:
    """Turn around the voxels of a bool (H, W) slice whose centres lie in a polygon (N, 2)."""
    first, last = polygon, np.roll(polygon, -1, axis=0)
    # Both ways along a channel are to give the same numbers.
    upward = (first[:, 1] <= last[:, 1])[:, None]
    (x, y), (x_end, y_end) = np.where(upward, first, last).T, np.where(upward, last, first).T
    columns = np.arange(plane.shape[1])
    top, bottom = max(int(np.ceil(y.min())), 0), min(int(y_end.max()), len(plane) - 1)
    for row in range(top, bottom + 1):
        hit = (y <= row) & (row < y_end)
        share = (row - y[hit]) / (y_end[hit] - y[hit])
        crossings = x[hit] + share * (x_end[hit] - x[hit])
        plane[row] ^= (crossings[:, None] < columns).sum(axis=0) % 2 == 1


def _corners(ring: np.ndarray) -> np.ndarray:
    """Without the points on straight lines."""
    (x, y), (x_next, y_next) = (
        (ring - np.roll(ring, 1, axis=0)).T,
        (np.roll(ring, -1, axis=0) - ring).T,
    )
    return ring[x * y_next != y * x_next]


def _joined(outer: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """To the hole where it is nearest, around it, and back."""
    distances = np.linalg.norm(outer[:, None] - hole[None], axis=2)
    at, there = np.unravel_index(distances.argmin(), distances.shape)
    around = np.roll(hole, -there, axis=0)
    return np.concatenate([outer[: at + 1], around, around[:1], outer[at:]])
