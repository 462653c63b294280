"""Uniform draws of voxels from large masks."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dvcl.losses.class_sums import sizes_of_groups

NOBODY = 255


class Drawn(NamedTuple):
    """Voxels of several classes.

    Attributes:
        voxels: (N,) int64, indices into the flattened codes, sorted by class.
        classes: (N,) int64.
        sizes: How many there are of each class; N in all.
    """

    voxels: Tensor
    classes: Tensor
    sizes: list[int]


def sample_mask(mask: Tensor, count: int, random: torch.Generator) -> Tensor:
    """Up to ``count`` indices where the flattened ``mask`` is true, without replacement."""
    return _draw(mask.flatten().nonzero().squeeze(1), count, random)


def sample_per_class(codes: Tensor, classes: int, count: int, random: torch.Generator) -> Drawn:
    """Up to ``count`` voxels of each class, uniformly and without replacement.

    Args:
        codes: Any shape, integers: a voxel's class, or one from ``classes`` on, such as `NOBODY`,
            where it takes no part.
        classes: K.
        count: Voxels per class; fewer where the class has fewer.
        random: Generator on the device of ``codes``.
    """
    # One sort of bytes is several times cheaper than a mask and a search per class.
    order = codes.flatten().sort(stable=True)
    populations = sizes_of_groups(order.values, classes)
    parts = order.indices[: sum(populations)].split(populations)
    drawn = [_draw(voxels, count, random) for voxels in parts]
    voxels = torch.cat(drawn)
    return Drawn(voxels, codes.flatten()[voxels].long(), [len(part) for part in drawn])


def _draw(voxels: Tensor, count: int, random: torch.Generator) -> Tensor:
    """Up to ``count`` of the given voxels."""
    if len(voxels) <= count:
        return voxels
    return voxels[_distinct(len(voxels), count, random)]


def _distinct(population: int, count: int, random: torch.Generator) -> Tensor:
    """``count`` distinct numbers below ``population``; a permutation of millions costs too much."""
    if population <= 4 * count + 64:
        return torch.randperm(population, generator=random, device=random.device)[:count]
    # Drawing with replacement and keeping the first `count` distinct numbers is a uniform draw
    # without replacement; twice as many (and a few) always hold enough distinct ones in practice.
    draws = 2 * count + 32
    drawn = torch.randint(population, (draws,), generator=random, device=random.device)
    order = drawn.sort(stable=True)
    repeated = torch.zeros_like(drawn, dtype=torch.uint8)
    repeated[order.indices[1:]] = (order.values.diff() == 0).byte()
    # First all that were drawn for the first time, then the repetitions.
    return drawn[repeated.argsort(stable=True)[:count]]
