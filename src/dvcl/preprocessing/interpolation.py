"""Interpolation along one line of voxels; volumes apply it axis by axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

# Spline weights decay below float32's normal range, and matmul is 12 times slower on denormals.
NEGLIGIBLE_WEIGHT = 1e-9

# Positions this close to halfway between two voxels count as halfway (see `nearest_index`).
TIE_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Taps:
    """Linear interpolation along a line: ``(1 - weight) * line[lower] + weight * line[upper]``.

    Attributes:
        lower: int64, one index per position.
        upper: int64, the next voxel, or the last one again at the end.
        weight: float32 in [0, 1).
    """

    lower: np.ndarray
    upper: np.ndarray
    weight: np.ndarray


def resampling_matrix(
    source_size: int, target_size: int, start: float, step: float, order: int
) -> torch.Tensor:
    """Build the operator that reads a line of voxels at ``start + step * i``, i = 0 .. target - 1.

    The same interpolation as scipy.ndimage with mode "nearest" and its own prefilter: positions
    beyond an end repeat the end voxel (order 1) or continue the spline of the repeated voxel.

    Args:
        source_size: Voxels of the line.
        target_size: Positions to read.
        start: First position, in source voxels.
        step: Distance of the positions, in source voxels.
        order: 1 (linear) or 3 (cubic spline).

    Returns:
        (target_size, source_size) float32; every row sums to 1.
    """
    if order == 1:
        taps = linear_taps(source_size, target_size, start, step)
        matrix = np.zeros((target_size, source_size), dtype=np.float32)
        rows = np.arange(target_size)
        matrix[rows, taps.lower] = 1 - taps.weight
        matrix[rows, taps.upper] += taps.weight
        return torch.from_numpy(matrix)
    operator = ndimage.affine_transform(
        np.eye(source_size),
        np.array([step, 1.0]),
        offset=(start, 0.0),
        output_shape=(target_size, source_size),
        order=order,
        mode="nearest",
    )
    operator[np.abs(operator) < NEGLIGIBLE_WEIGHT] = 0
    return torch.from_numpy(operator.astype(np.float32))


def blend(lower: np.ndarray, upper: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """``lower + weight * (upper - lower)``, a new array: what `Taps` say, for any arrays."""
    blended: np.ndarray = upper - lower
    blended *= weight
    blended += lower
    return blended


def linear_taps(source_size: int, target_size: int, start: float, step: float) -> Taps:
    """Find the two voxels and the weight of every position ``start + step * i``.

    Positions beyond an end repeat the end voxel.
    """
    positions = np.clip(start + step * np.arange(target_size), 0, source_size - 1)
    lower = np.floor(positions).astype(np.int64)
    upper = np.minimum(lower + 1, source_size - 1)
    return Taps(lower, upper, (positions - lower).astype(np.float32))


def nearest_index(source_size: int, target_size: int, start: float, step: float) -> np.ndarray:
    """Index of the source voxel nearest to ``start + step * i``; halfway goes to the higher index.

    The same rule as scipy.ndimage at order 0, with a tolerance, so that round-off of the spacing
    does not decide ties. Positions beyond an end take the end voxel.
    """
    positions = start + step * np.arange(target_size)
    nearest = np.floor(positions + 0.5 + TIE_TOLERANCE).astype(np.int64)
    return np.clip(nearest, 0, source_size - 1)
