"""Which of many scans look alike: the pairs that comparing all would find, in far less time.

The correlation of two unit vectors is at most that of their shadows on a few directions, plus the
product of the lengths that the shadows lack (Cauchy and Schwarz). This bound rules out nearly all
pairs; the others are compared in full. The directions are those in which the scans differ most. Of
scans that have nothing in common it rules out too few: those are compared in blocks.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dvcl.leaks.likeness import ALIKE, CELLS_COMPARED, Progress, views

TOGETHER = 64  # scans whose views stay in the processor's cache
SAMPLE = 512  # scans that the directions are taken from: there are no more directions than these
TRIED = 8  # scans whose views tell how many directions are best
NUMBERS = (32, 64, 128, 256, SAMPLE)
# Comparing one pair apart takes about as long as so many in a product of matrices (measured).
LOOK_UP = 100
ROUND_OFF = 1e-4  # of the bound, in float32


def alike_pairs(
    coarse: np.ndarray, limit: float = ALIKE, progress: Progress | None = None
) -> dict[tuple[int, int], float]:
    """Find all pairs whose `likeness` is at least ``limit``.

    Args:
        coarse: uint8 (n, 24, 24, 24) coarse looks.
        limit: In (0, 1).
        progress: Called with (scans done, scans in all, "").

    Returns:
        {(i, j): likeness}, with i < j, in order.
    """
    if len(coarse) < 2:
        return {}
    found: dict[tuple[int, int], float] = {}
    whole = np.concatenate([next(views(part)) for _, part in _parts(coarse)])
    directions = _directions(whole, coarse, limit)
    shadows = np.ascontiguousarray(_shadows(whole, directions).T)
    for start, part in _parts(coarse):
        for view in views(part):
            bound = _shadows(view, directions) @ shadows
            rows, columns = np.divmod(np.flatnonzero(bound >= limit - ROUND_OFF), len(coarse))
            other = rows + start != columns
            _compare(view, whole, rows[other], columns[other], start, limit, found)
        if progress is not None:
            progress(start + len(part), len(coarse), "")
    return dict(sorted(found.items()))


def _compare(
    view: np.ndarray,
    whole: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    start: int,
    limit: float,
    found: dict[tuple[int, int], float],
) -> None:
    """Add the pairs of rows of ``view`` and of ``whole`` that are alike, as their best view is.

    Args:
        view: Of the scans from ``start`` on.
        whole: Of all scans.
        rows: Of the pairs that the bound leaves, sorted.
        columns: Of these pairs.
        start: See above.
        limit: Of likeness.
        found: To which they are added.
    """
    if not len(rows):
        return
    if LOOK_UP * len(rows) > len(view) * len(whole):
        values = (view @ whole.T)[rows, columns]
    else:
        first = np.flatnonzero(np.diff(rows, prepend=-1))
        parts = zip(rows[first].tolist(), np.split(columns, first[1:]), strict=True)
        values = np.concatenate([whole[others] @ view[row] for row, others in parts])
    alike = values >= limit
    pairs = zip(rows[alike].tolist(), columns[alike].tolist(), values[alike].tolist(), strict=True)
    for row, other, value in pairs:
        pair = min(row + start, other), max(row + start, other)
        found[pair] = max(found.get(pair, 0.0), value)


def _parts(coarse: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for start in range(0, len(coarse), TOGETHER):
        yield start, coarse[start : start + TOGETHER]


def _directions(whole: np.ndarray, coarse: np.ndarray, limit: float) -> np.ndarray:
    """(16**3, k) with orthonormal columns; k takes the least time on a part of the scans."""
    sample = _evenly(whole, SAMPLE)
    weights, mixed = np.linalg.eigh(sample @ sample.T)
    strong = np.flatnonzero(weights > ROUND_OFF * weights[-1])[::-1]
    directions, _ = np.linalg.qr(sample.T @ mixed[:, strong])

    def work(number: int) -> float:
        """Multiplications for a pair of a view and a scan, those for the view's shadow included."""
        few = directions[:, :number]
        # Not the scans of the sample, which the directions fit better than any others.
        shadows = _shadows(_evenly(whole[1:], SAMPLE), few).T
        tried = views(_evenly(coarse[1:], TRIED))
        left = np.mean([_shadows(view, few) @ shadows >= limit for view in tried])
        full = number / len(coarse) + min(LOOK_UP * left, 1)
        return float(number + full * CELLS_COMPARED**3)

    best = min(NUMBERS, key=work)
    return np.ascontiguousarray(directions[:, :best])


def _evenly(rows: np.ndarray, number: int) -> np.ndarray:
    return rows[:: -(-len(rows) // number)]


def _shadows(rows: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """(n, k + 1): rows along the directions, and the length that is left."""
    along = rows @ directions
    left = np.einsum("ij,ij->i", rows, rows) - np.einsum("ij,ij->i", along, along)
    return np.column_stack([along, np.sqrt(np.clip(left, 0, None))])
