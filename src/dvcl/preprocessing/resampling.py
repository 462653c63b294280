"""The file's voxels read on the prepared grid: images linearly or by splines, labels by class."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import Literal

import numpy as np
import torch

from dvcl.preprocessing.geometry import Grid
from dvcl.preprocessing.interpolation import Taps, blend, nearest_index

LabelInterpolation = Literal["nearest", "linear"]

# Slices converted to float32 at once: bounds the memory beside the volume and the result.
SLAB_SLICES = 8

# Shares of two classes this close are equal: round-off must not decide between them.
EQUAL_SHARES = 1e-6


def resample(
    array: np.ndarray, grid: Grid, order: int = 1, window: tuple[float, float] | None = None
) -> np.ndarray:
    """Interpolate an image of the file onto the prepared grid.

    Args:
        array: (D, H, W) on ``grid.source``, any real dtype, finite; not changed.
        grid: Both grids.
        order: 1 (linear) or 3 (cubic spline).
        window: Clip to (low, high) before interpolating; done slice by slice, so that no second
            full-size copy of the file's voxels is held.

    Returns:
        float32 (D, H, W) on ``grid.prepared``.
    """
    oriented = grid.moves.apply(array)
    interpolate = _resample_linear if order == 1 else _resample_spline
    return interpolate(oriented, grid, window)


def resample_labels(
    classes: np.ndarray, grid: Grid, interpolation: LabelInterpolation = "nearest"
) -> np.ndarray:
    """Bring the classes of the file's voxels to the prepared grid.

    Args:
        classes: (D, H, W) class indices on ``grid.source``.
        grid: Both grids.
        interpolation: "nearest" takes the nearest voxel; halfway, the one with the higher index.
            "linear" takes the class with the greatest share in the linear interpolation of all
            classes, which smooths steps; of equal shares the lower class.

    Returns:
        uint8 (D, H, W) on ``grid.prepared``.
    """
    oriented = grid.moves.apply(classes)
    if interpolation == "linear":
        return _labels_by_share(oriented, grid)
    axes = zip(grid.oriented_shape, grid.prepared.shape, grid.starts, grid.steps, strict=True)
    planes, rows, columns = (nearest_index(*axis) for axis in axes)
    result = np.empty(grid.prepared.shape, dtype=np.uint8)
    for target, plane in zip(result, planes, strict=True):
        target[...] = oriented[plane].take(rows, axis=0).take(columns, axis=1)
    return result


def _resample_linear(
    oriented: np.ndarray, grid: Grid, window: tuple[float, float] | None
) -> np.ndarray:
    along_z, along_y, along_x = grid.taps()

    @lru_cache(maxsize=2)
    def plane(index: int) -> np.ndarray:
        return _slab(oriented[index], window)

    result = np.empty(grid.prepared.shape, dtype=np.float32)
    # Slice by slice: what lies between the file and the result stays in the processor's cache.
    for index in range(len(result)):
        lower, upper = int(along_z.lower[index]), int(along_z.upper[index])
        image = blend(plane(lower), plane(upper), along_z.weight[index])
        above, below = (image.take(voxels, axis=0) for voxels in (along_y.lower, along_y.upper))
        rows = blend(above, below, along_y.weight[:, None])
        left, right = (rows.take(voxels, axis=1) for voxels in (along_x.lower, along_x.upper))
        result[index] = blend(left, right, along_x.weight)
    return result


def _resample_spline(
    oriented: np.ndarray, grid: Grid, window: tuple[float, float] | None
) -> np.ndarray:
    along_z, along_y, along_x = grid.matrices(order=3)
    depth, (_, height, width) = len(oriented), grid.prepared.shape
    # In-plane first: scans are finer in-plane than the prepared grid, so this shrinks the data.
    planes = torch.empty((depth, height, width), dtype=torch.float32)
    for first in range(0, depth, SLAB_SLICES):
        part = slice(first, first + SLAB_SLICES)
        slab = torch.from_numpy(_slab(oriented[part], window))
        if along_x is not None:
            slab = slab @ along_x.T
        if along_y is not None:
            slab = torch.bmm(along_y.expand(len(slab), -1, -1), slab)
        planes[part] = slab
    if along_z is None:
        return planes.numpy()
    return (along_z @ planes.view(depth, -1)).view(-1, height, width).numpy()


def _slab(part: np.ndarray, window: tuple[float, float] | None) -> np.ndarray:
    slab = np.array(part, dtype=np.float32, order="C")
    return slab if window is None else np.clip(slab, *window, out=slab)


def _labels_by_share(oriented: np.ndarray, grid: Grid) -> np.ndarray:
    """One slice after another, and only where the eight voxels around are not of one class."""
    along_z, along_y, along_x = grid.taps()
    result = np.empty(grid.prepared.shape, dtype=np.uint8)
    for index, target in enumerate(result):
        ends = oriented[along_z.lower[index]], oriented[along_z.upper[index]]
        corners = np.stack(
            [
                plane[rows][:, columns]
                for plane, rows, columns in product(
                    ends, (along_y.lower, along_y.upper), (along_x.lower, along_x.upper)
                )
            ]
        )
        target[...] = corners[0]
        disputed = (corners != corners[0]).any(axis=0).nonzero()
        shares = _shares(float(along_z.weight[index]), along_y, along_x, disputed)
        target[disputed] = _greatest_share(corners[:, *disputed], shares)
    return result


def _shares(
    along_z: float, along_y: Taps, along_x: Taps, places: tuple[np.ndarray, ...]
) -> np.ndarray:
    """Weights of the eight corners, float64 (8, n), in the order of `_labels_by_share`."""
    down, across = (
        taps.weight[index].astype(np.float64)
        for taps, index in zip((along_y, along_x), places, strict=True)
    )
    pairs = product((1 - along_z, along_z), (1 - down, down), (1 - across, across))
    return np.stack([front * row * column for front, row, column in pairs])


def _greatest_share(classes: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The class with the greatest sum of shares, uint8 (n,), of (8, n); the lower one if equal."""
    best, most = classes[0].copy(), np.zeros(classes.shape[1])
    for candidate in classes:
        share = np.where(classes == candidate, shares, 0).sum(axis=0)
        higher = share > most + EQUAL_SHARES
        higher |= (share > most - EQUAL_SHARES) & (candidate < best)
        best[higher], most[higher] = candidate[higher], share[higher]
    return best
