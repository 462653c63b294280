"""The space of voxel features: voxels drawn equally, distances between and within classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist, pdist

from dvcl.evaluation.summary import spread

# A class with fewer voxels in all cases counts as absent: the equal number is that of the rarest.
FEWEST = 10

NOBODY = 255  # a voxel whose class is not known


@dataclass(frozen=True)
class ClassDistances:
    """Euclidean distances; NaN where a class has no features, or a pair would need a second one.

    Attributes:
        centres: (K, K), between the means of two classes; 0 on the diagonal of classes that occur.
        farthest: (K,), between the two farthest features of a class (DVCL, Fig. 9b). It grows with
            the number of features, so that only classes with equally many can be compared.
        pairs: (K,), mean over all pairs of features of a class; does not grow with their number.
    """

    centres: np.ndarray
    farthest: np.ndarray
    pairs: np.ndarray

    @property
    def between(self) -> float:
        """Mean distance between the centres of two different classes; NaN without any."""
        return spread(self.centres[np.triu_indices(len(self.centres), 1)].tolist()).mean

    @property
    def within(self) -> float:
        """Mean of ``pairs`` over the classes; NaN without any."""
        return spread(self.pairs.tolist()).mean


def class_distances(features: np.ndarray, classes: np.ndarray, count: int) -> ClassDistances:
    """Distances between and within classes.

    Args:
        features: (N, d).
        classes: (N,) integers in 0..K-1.
        count: K.
    """
    groups = [features[classes == index].astype(np.float64) for index in range(count)]
    nowhere = np.full(features.shape[1], np.nan)
    means = np.array([group.mean(0) if len(group) else nowhere for group in groups])
    within = [pdist(group) if len(group) > 1 else np.array([np.nan]) for group in groups]
    return ClassDistances(
        cdist(means, means),
        np.array([distances.max() for distances in within]),
        np.array([distances.mean() for distances in within]),
    )


def unit_length(features: np.ndarray) -> np.ndarray:
    """Rows (N, d) divided by their lengths; rows of zeros stay."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(lengths, np.finfo(features.dtype).tiny)


def draw_equally(
    labels: Sequence[np.ndarray], classes: int, number: int, random: np.random.Generator
) -> list[np.ndarray]:
    """Draw equally many voxels of every class, uniformly over all cases, without replacement.

    Args:
        labels: Per case (D, H, W) uint8 class indices, `NOBODY` where a voxel takes no part.
        classes: K.
        number: Voxels per class, fewer where the rarest class has fewer. Classes with fewer than
            `FEWEST` are left out.
        random: Draws.

    Returns:
        Per case int64 (n, 4) rows (class, d, h, w).
    """
    counts = np.array([np.bincount(label.ravel(), minlength=256)[:classes] for label in labels])
    totals = counts.sum(0)
    occurring = np.flatnonzero(totals >= FEWEST)
    number = int(min([number, *totals[occurring]]))
    rows: list[list[np.ndarray]] = [[np.empty((0, 4), np.int64)] for _ in labels]
    for index in occurring:
        chosen = np.sort(random.choice(totals[index], number, replace=False))
        starts = np.cumsum(counts[:, index]) - counts[:, index]
        for case, label in enumerate(labels):
            ranks = chosen - starts[case]
            ranks = ranks[(ranks >= 0) & (ranks < counts[case, index])]
            if len(ranks):
                flat = np.flatnonzero(label == index)[ranks]
                place = np.unravel_index(flat, label.shape)
                rows[case].append(np.column_stack([np.full(len(flat), index), *place]))
    return [np.concatenate(parts) for parts in rows]
