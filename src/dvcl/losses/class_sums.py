"""Counts of, and sums over, the voxels of each class, without a map per class."""

from __future__ import annotations

import torch
from torch import Tensor


def counts_per_class(labels: Tensor, classes: int) -> Tensor:
    """Voxels of each class, as (K,) int64.

    On a CPU as fast as ``bincount``, which asks a GPU for its largest value and has the host wait
    for the answer. Counted line by line first, or a GPU's threads would queue for one counter.

    Args:
        labels: Any shape, int64, below K.
        classes: K.
    """
    lines = torch.atleast_2d(labels).flatten(0, -2)
    ones = lines.new_ones(1, dtype=torch.int32).expand_as(lines)
    return ones.new_zeros(len(lines), classes).scatter_add(1, lines, ones).sum(0)


def sizes_of_groups(ordered: Tensor, groups: int) -> list[int]:
    """How many of the sorted numbers (N,) are 0, 1, ..., ``groups`` - 1; the host waits for it."""
    numbers = torch.arange(groups + 1, dtype=ordered.dtype, device=ordered.device)
    sizes: list[int] = torch.searchsorted(ordered, numbers).diff().tolist()
    return sizes


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
