"""Which voxels of each class a network's entropy calls reliable (DVCL, Fig. 1a)."""

from __future__ import annotations

import numpy as np


def reliable_counts(reliable: np.ndarray, label: np.ndarray, classes: int) -> np.ndarray:
    """Count a case's voxels by their true class; counts of several cases may be added up.

    Args:
        reliable: (D, H, W) bool, of `losses.entropy.select_reliable`.
        label: (D, H, W) uint8; indices from K on belong to no class.
        classes: K.

    Returns:
        (2, K) int64: the reliable ones, and all.
    """
    chosen, every = (
        np.bincount(part.ravel(), minlength=classes)[:classes] for part in (label[reliable], label)
    )
    return np.stack([chosen, every])


def reliable_share(counts: np.ndarray) -> np.ndarray:
    """Share (K,) of each class's voxels that is reliable, NaN for a class that does not occur."""
    chosen, every = counts
    return np.where(every > 0, chosen / np.maximum(every, 1), np.nan)
