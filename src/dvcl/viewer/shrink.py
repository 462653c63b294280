"""Fewer, larger voxels, so that a scan fits into a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import numpy as np

from dvcl.volume import Geometry, Volume

Factors = tuple[int, int, int]


def shrink_factors(geometry: Geometry, most_voxels: int) -> Factors:
    """How many voxels (z, y, x) become one, so that at most so many are left.

    The finest axis is made coarser first: what is left is as isotropic as whole numbers allow.
    """
    factors = [1, 1, 1]
    while math.prod(_sizes(geometry.shape, factors)) > most_voxels:
        spacing = [n * mm for n, mm in zip(factors, geometry.spacing_mm, strict=True)]
        # An axis of one voxel cannot become shorter.
        longer = [axis for axis in range(3) if factors[axis] < geometry.shape[axis]]
        factors[min(longer, key=spacing.__getitem__)] += 1
    return factors[0], factors[1], factors[2]


def shrink_image(image: Volume, factors: Factors) -> Volume:
    """The mean of every block of voxels, float32, at the block's centre."""
    parts = _parts(image.array, factors)
    total = np.zeros(parts[0].shape, np.float32)
    for part in parts:
        total += part
    affine = image.affine.copy()
    along = np.array(factors[::-1])
    affine[:3, 3] += affine[:3, :3] @ ((along - 1) / 2)
    affine[:3, :3] *= along
    return Volume(total / len(parts), affine)


def shrink_classes(classes: np.ndarray, factors: Factors) -> np.ndarray:
    """The class that fills most of every block of voxels; of equal ones the lower. uint8."""
    parts = np.stack(_parts(classes, factors))
    best = parts[0].copy()
    disputed = (parts != best).any(axis=0)
    candidates = parts[:, disputed].astype(np.int16)
    counts = np.stack([(candidates == candidate).sum(axis=0) for candidate in candidates])
    # A class is less than 256: it decides between equal counts only.
    winners = (counts * 256 - candidates).argmax(axis=0)
    best[disputed] = np.take_along_axis(candidates, winners[None], axis=0)[0]
    return best


def _parts(array: np.ndarray, factors: Factors) -> list[np.ndarray]:
    """Every block's first voxels, its second ones, and so on; the last blocks repeat the edge."""
    missing = [-size % factor for size, factor in zip(array.shape, factors, strict=True)]
    whole = np.pad(array, [(0, count) for count in missing], mode="edge")
    starts = product(*map(range, factors))
    return [
        whole[tuple(slice(at, None, step) for at, step in zip(start, factors, strict=True))]
        for start in starts
    ]


def _sizes(shape: Sequence[int], factors: Sequence[int]) -> list[int]:
    return [math.ceil(size / factor) for size, factor in zip(shape, factors, strict=True)]
