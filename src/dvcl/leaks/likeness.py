"""How alike two scans look: a correlation of coarse looks that allows for cropping and mirroring.

Fine structure tells people apart, the outline does not: what a blur leaves is taken away.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import cache

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
VIEWS = len(CROPS) ** 3 + len(MIRRORS)


def likeness(first: np.ndarray, second: np.ndarray | None = None) -> np.ndarray:
    """Compare every scan with every other; `leaks.search` finds alike ones among thousands.

    Args:
        first: uint8 (n, 24, 24, 24) coarse looks.
        second: uint8 (m, 24, 24, 24); None compares ``first`` with itself, in half the time.

    Returns:
        float32 (n, m): the highest correlation over crops of either and mirror images, at most 1.
    """
    best = _best(first, first if second is None else second)
    return np.maximum(best, best.T if second is None else _best(second, first).T)


def _best(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    whole = next(views(second)).T
    best = np.full((len(first), len(second)), -1, dtype=np.float32)
    for view in views(first):
        np.maximum(best, view @ whole, out=best)
    return best


def views(coarse: np.ndarray) -> Iterator[np.ndarray]:
    """Every look as it is, then all its crops and mirror images: `VIEWS` in all.

    Args:
        coarse: uint8 (n, 24, 24, 24).

    Yields:
        float32 (n, 16**3): unit vectors of the view less its blur, 0 where that leaves nothing.
    """
    cells = coarse.astype(np.float32)
    shape = (len(cells), CELLS_COMPARED, CELLS_COMPARED, CELLS_COMPARED)
    whole = None
    # Cells are means along one axis after the other, as is the blur: crops share what they can.
    for sharp_x, soft_x in _crops():
        by_x = cells @ sharp_x.T, cells @ soft_x.T
        for sharp_y, soft_y in _crops():
            sharp, soft = (
                (matrix @ part).reshape(len(cells), CELLS, -1)
                for matrix, part in zip((sharp_y, soft_y), by_x, strict=True)
            )
            for sharp_z, soft_z in _crops():
                view = _unit((sharp_z @ sharp - soft_z @ soft).reshape(len(cells), -1))
                whole = view.reshape(shape) if whole is None else whole
                yield view
    assert whole is not None
    for z, y, x in MIRRORS:
        yield whole[:, ::z, ::y, ::x].reshape(len(cells), -1)


@cache
def _crops() -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """For each crop of an axis a matrix that crops and one that also blurs: float32 (16, 24)."""
    line = np.eye(CELLS_COMPARED)
    blur = ndimage.gaussian_filter1d(line, BLUR_CELLS, axis=0, mode="nearest").astype(np.float32)
    matrices = [area_matrix(CELLS, CELLS_COMPARED, *ends) for ends in CROPS]
    return tuple((matrix, blur @ matrix) for matrix in matrices)


def _unit(rows: np.ndarray) -> np.ndarray:
    rows -= rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    rows /= np.where(length > 0, length, 1)
    return rows
