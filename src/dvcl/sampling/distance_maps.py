"""Signed distance maps of the labels: how far each voxel is from each organ's surface."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.ndimage import distance_transform_edt, find_objects


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

    # scipy's transform, which takes nearly all of the time, lets threads run side by side.
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
    distance = _distance_to_zero(~mask)
    distance /= distance.max()
    # The nearest voxel outside an organ is never farther away than one voxel from its box.
    (box,) = find_objects(mask.view(np.uint8))
    box = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box)
    inside = _distance_to_zero(mask[box])
    # A boundary voxel has a neighbour outside, so its distance is exactly 1.
    inside[inside == 1] = 0
    distance[box] -= inside / max(inside.max(), 1)
    return distance


def _distance_to_zero(mask: np.ndarray) -> np.ndarray:
    """Distance of every voxel to the nearest false one; from its index, 2.5 times faster."""
    nearest = distance_transform_edt(mask, return_distances=False, return_indices=True)
    squares = np.zeros(mask.shape, dtype=np.int32)
    for there, here in zip(nearest, np.ogrid[tuple(map(slice, mask.shape))], strict=True):
        squares += (there - here) ** 2
    return np.sqrt(squares, dtype=np.float32)
