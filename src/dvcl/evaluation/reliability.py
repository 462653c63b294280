"""Which voxels of each class a network's entropy calls reliable (DVCL, Fig. 1a)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Reliability(NamedTuple):
    """Voxels counted by their true class; of several cases by `add`.

    Attributes:
        right: (K,) int64, reliable and with the right pseudo-label.
        reliable: (K,) int64.
        every: (K,) int64.
    """

    right: np.ndarray
    reliable: np.ndarray
    every: np.ndarray

    def add(self, other: Reliability) -> Reliability:
        """Both together."""
        return Reliability(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    @property
    def share(self) -> np.ndarray:
        """Share (K,) of each class's voxels that is reliable; NaN for a class without any."""
        return _share(self.reliable, self.every)

    @property
    def right_share(self) -> np.ndarray:
        """Share (K,) of each class's voxels that is reliable and right; NaN likewise."""
        return _share(self.right, self.every)


def count_reliable(
    pseudo_labels: np.ndarray, reliable: np.ndarray, label: np.ndarray, classes: int
) -> Reliability:
    """Count the voxels of a case.

    Args:
        pseudo_labels: (D, H, W) integers, of `losses.entropy.select_reliable`.
        reliable: (D, H, W) bool, of the same.
        label: (D, H, W) uint8; indices from K on belong to no class.
        classes: K.
    """
    return Reliability(
        *(
            np.bincount(part.ravel(), minlength=classes)[:classes]
            for part in (label[reliable & (pseudo_labels == label)], label[reliable], label)
        )
    )


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)
