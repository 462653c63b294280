"""Sums over the voxels of each class, without a map per class."""

from __future__ import annotations

from torch import Tensor


def of_own_class(maps: Tensor, labels: Tensor) -> Tensor:
    """What each voxel has in the map of its own class.

    Args:
        maps: (B, K, D, H, W).
        labels: (B, D, H, W) int64.

    Returns:
        (B, D, H, W).
    """
    return maps.gather(1, labels.unsqueeze(1)).squeeze(1)


def sums_per_class(values: Tensor, labels: Tensor, classes: int) -> Tensor:
    """For each class the sum of ``values`` over its voxels.

    Without a map per class, which would take most of a loss's time. Summed line by line first: one
    float32 sum over millions of voxels would lose what it adds.

    Args:
        values: (B, D, H, W).
        labels: (B, D, H, W) int64.
        classes: K.

    Returns:
        (K,).
    """
    lines = values.flatten(0, 2)
    return lines.new_zeros(len(lines), classes).scatter_add(1, labels.flatten(0, 2), lines).sum(0)
