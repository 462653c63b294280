"""Uniform draws of voxels from large masks."""

from __future__ import annotations

import torch
from torch import Tensor

NOBODY = 255


def sample_mask(mask: Tensor, count: int, random: torch.Generator) -> Tensor:
    """Up to ``count`` indices where the flattened ``mask`` is true, without replacement."""
    return _draw(mask.flatten().nonzero().squeeze(1), count, random)


def sample_per_class(
    codes: Tensor, classes: int, count: int, random: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Up to ``count`` voxels of each class, uniformly and without replacement.

    Args:
        codes: Any shape, uint8: a voxel's class, or `NOBODY` where it takes no part.
        classes: K.
        count: Voxels per class; fewer where the class has fewer.
        random: Generator on the device of ``codes``.

    Returns:
        Indices into the flattened codes (N,), and their classes (N,), sorted by class.
    """
    # One sort of bytes is several times cheaper than a mask and a search per class.
    order = codes.flatten().sort(stable=True)
    populations = order.values.bincount(minlength=NOBODY + 1).tolist()
    parts = order.indices.split(populations)[:classes]
    drawn = [_draw(voxels, count, random) for voxels in parts]
    sizes = torch.tensor([len(voxels) for voxels in drawn], device=codes.device)
    names = torch.arange(classes, device=codes.device)
    return torch.cat(drawn), names.repeat_interleave(sizes)


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
    order = torch.arange(draws, device=random.device)
    values, inverse = drawn.unique(return_inverse=True)
    first = order.new_full((len(values),), draws).scatter_reduce(0, inverse, order, "amin")
    return drawn[first.sort().values[:count]]
