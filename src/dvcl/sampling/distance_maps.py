"""Signed distance maps of the labels: how far each voxel is from each organ's surface.

Maps made once per case and cropped would be others: a patch's map measures to the organ's surface
within the patch, each side is divided by its maximum there, and a patch that is scaled or turned by
less than a right angle has distances of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np


def signed_distance_maps(labels: np.ndarray, classes: int) -> np.ndarray:
    """One map per foreground class and patch, the target of SASSNet and DTC.

    Args:
        labels: (B, D, H, W), class indices, as cropped and flipped.
        classes: K.

    Returns:
        (B, K - 1, D, H, W) float32, see `signed_distance`.
    """
    maps = np.empty((len(labels), classes - 1, *labels.shape[1:]), dtype=np.float32)

    def fill(place: tuple[int, ...]) -> None:
        patch, organ = place
        maps[patch, organ] = signed_distance(labels[patch] == organ + 1)

    # numpy, which takes nearly all of the time, lets threads run side by side.
    with ThreadPoolExecutor() as threads:
        list(threads.map(fill, np.ndindex(maps.shape[:2])))
    return maps


def signed_distance(mask: np.ndarray) -> np.ndarray:
    """Distance to the surface in voxels, each side divided by its own maximum.

    Outside positive, inside negative, 0 on the inner boundary: the voxels of the mask that share a
    face with a voxel outside it. That is the map of SASSNet (Li et al., MICCAI 2020), which has no
    useful value for two cases: an empty mask is far away everywhere, +1, and a mask without an
    outside is deep inside everywhere, -1.

    Args:
        mask: (D, H, W) bool.

    Returns:
        (D, H, W) float32 in [-1, 1].
    """
    if not mask.any():
        return np.ones(mask.shape, dtype=np.float32)
    if mask.all():
        return np.full(mask.shape, -1, dtype=np.float32)
    box = _box(mask)
    distance = np.sqrt(_squares(mask[box], [side.start for side in box], mask.shape))
    distance /= distance.max()
    # The nearest voxel outside an organ is never farther away than one voxel from its box.
    box = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box)
    inside = np.sqrt(_squares(~mask[box], (0, 0, 0), mask[box].shape))
    # A boundary voxel has a neighbour outside, so its distance is exactly 1.
    inside[inside == 1] = 0
    distance[box] -= inside / max(inside.max(), 1)
    return distance


def _box(mask: np.ndarray) -> tuple[slice, ...]:
    """The smallest one that holds all true voxels."""
    sides = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        filled = np.flatnonzero(mask.any(axis=others))
        sides.append(slice(int(filled[0]), int(filled[-1]) + 1))
    return tuple(sides)


def _squares(targets: np.ndarray, start: Sequence[int], shape: Sequence[int]) -> np.ndarray:
    """Squared distance of every voxel to the nearest target.

    Exact, axis by axis (Felzenszwalb and Huttenlocher, Theory of Computing 2012), but by trying
    every plane of targets: with boxes of an organ's size that takes a quarter of the time of
    scipy's transform, whose time does not depend on them; with targets all over a patch as much.

    Args:
        targets: Bool, a box that has one at least.
        start: Of the box.
        shape: Of the result, in which the box lies.

    Returns:
        Whole numbers, float32.
    """
    farthest = [(size - 1) ** 2 for size in shape]
    kind = np.min_scalar_type(sum(farthest) + max(farthest))
    none = np.iinfo(kind).max - max(farthest)  # can be added to, and is beyond all distances
    squares = np.where(targets, 0, none).astype(kind)
    # The last axis is the dearest: all other sides have their full length by then.
    for axis in sorted(range(targets.ndim), key=lambda axis: -targets.shape[axis]):
        squares = _along(squares, axis, start[axis], shape[axis], none)
    return squares.astype(np.float32)


def _along(squares: np.ndarray, axis: int, start: int, size: int, none: int) -> np.ndarray:
    """Extend an axis to its size; every voxel gets the least sum over the planes along it."""
    shape = [*squares.shape[:axis], size, *squares.shape[axis + 1 :]]
    least, sums = np.full(shape, none, squares.dtype), np.empty(shape, squares.dtype)
    places = np.arange(size).reshape([-1 if a == axis else 1 for a in range(squares.ndim)])
    for plane in range(squares.shape[axis]):
        steps = ((places - start - plane) ** 2).astype(squares.dtype)
        np.add(squares.take([plane], axis), steps, out=sums)
        np.minimum(least, sums, out=least)
    return least
