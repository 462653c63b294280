"""How alike two scans look: a correlation of coarse looks that allows for cropping and mirroring.

Fine structure tells people apart, the outline does not: what a blur leaves is taken away.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from scipy import ndimage

from dvcl.leaks.fingerprint import CELLS, area_matrix

Progress = Callable[[int, int, str], None]

CELLS_COMPARED = 16
BLUR_CELLS = 1.0

# Measured in docs/check.md: of different scans the most alike pairs reach 0.86 (head-and-neck CT,
# 5671 pairs) and 0.71 (brain MR, 8385 pairs).
ALIKE = 0.87
SAME_SCAN = 0.9

# One scan may be cropped by up to a tenth of the body on each side, against the other.
CROPS = ((0.0, 1.0), (0.05, 0.95), (0.1, 0.9), (0.0, 0.9), (0.1, 1.0))
MIRRORS = tuple(itertools.product((1, -1), repeat=3))[1:]


def likeness(
    first: np.ndarray, second: np.ndarray | None = None, progress: Progress | None = None
) -> np.ndarray:
    """Compare every scan with every other.

    Args:
        first: uint8 (n, 24, 24, 24) coarse looks.
        second: uint8 (m, 24, 24, 24); None compares ``first`` with itself, in half the time.
        progress: Called with (crops done, crops in all, "").

    Returns:
        float32 (n, m): the highest correlation over crops of either and mirror images, at most 1.
    """
    plain_first = _structure(first)
    plain_second = plain_first if second is None else _structure(second)
    cells = plain_first.reshape(-1, *(CELLS_COMPARED,) * 3)
    best = plain_first @ plain_second.T
    for z, y, x in MIRRORS:
        mirrored = cells[:, ::z, ::y, ::x].reshape(plain_first.shape)
        np.maximum(best, mirrored @ plain_second.T, out=best)
    crops = list(itertools.product(CROPS, repeat=3))
    for done, crop in enumerate(crops, start=1):
        np.maximum(best, _structure(first, crop) @ plain_second.T, out=best)
        if second is not None:
            np.maximum(best, plain_first @ _structure(second, crop).T, out=best)
        if progress is not None:
            progress(done, len(crops), "")
    return np.maximum(best, best.T) if second is None else best


def _structure(
    coarse: np.ndarray, crop: Sequence[tuple[float, float]] = ((0.0, 1.0),) * 3
) -> np.ndarray:
    """Coarse looks, cropped, less their blur, as unit vectors: float32 (n, 16**3)."""
    blur = ndimage.gaussian_filter1d(np.eye(CELLS_COMPARED), BLUR_CELLS, axis=0, mode="nearest")
    # Means commute with being taken axis by axis: three small products for each scan.
    cells = coarse.astype(np.float32)
    for axis, ends in enumerate(crop, start=1):
        cells = _along(area_matrix(CELLS, CELLS_COMPARED, *ends), cells, axis)
    blurred = cells
    for axis in (1, 2, 3):
        blurred = _along(blur.astype(np.float32), blurred, axis)
    fine = (cells - blurred).reshape(len(coarse), -1)
    fine -= fine.mean(axis=1, keepdims=True)
    length = np.linalg.norm(fine, axis=1, keepdims=True)
    return np.asarray(fine / np.where(length > 0, length, 1))


def _along(matrix: np.ndarray, array: np.ndarray, axis: int) -> np.ndarray:
    return np.moveaxis(np.tensordot(matrix, array, (1, axis)), 0, axis)
