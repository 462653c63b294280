"""The magic cube: patches cut into a grid of cubes, mixed across images, put together again."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def partition(maps: Tensor, cube: Sequence[int]) -> Tensor:
    """Cut maps into cubes that fill them exactly.

    Args:
        maps: (B, C, D, H, W).
        cube: (d, h, w), divisors of D, H and W.

    Returns:
        (B, N, C, d, h, w); the N cells are numbered along W first, then H, then D.
    """
    batch, channels, *sides = maps.shape
    pairs = zip(sides, cube, strict=True)
    split = [size for side, length in pairs for size in (side // length, length)]
    return maps.reshape(batch, channels, *split).permute(0, 2, 4, 6, 1, 3, 5, 7).flatten(1, 3)


def recover(cubes: Tensor, sides: Sequence[int]) -> Tensor:
    """Put cubes together: the inverse of `partition`.

    Args:
        cubes: (B, N, C, d, h, w).
        sides: (D, H, W) of the whole.

    Returns:
        (B, C, D, H, W).
    """
    grid = [side // length for side, length in zip(sides, cubes.shape[3:], strict=True)]
    apart = cubes.unflatten(1, grid).permute(0, 4, 1, 5, 2, 6, 3, 7)
    return apart.reshape(len(cubes), cubes.shape[2], *sides)


def draw_orders(images: int, cells: int, random: torch.Generator) -> Tensor:
    """For every cell an independent random order of the images, (images, cells) int64."""
    return torch.rand((images, cells), generator=random, device=random.device).argsort(0)


def mix(cubes: Tensor, orders: Tensor) -> Tensor:
    """Exchange cubes between images; each stays in its cell.

    Args:
        cubes: (B, N, ...).
        orders: (B, N); from which image each cell of an image comes.
    """
    return cubes[orders, torch.arange(orders.shape[1], device=orders.device)]


def unmix(cubes: Tensor, orders: Tensor) -> Tensor:
    """Give every cube back to its image: the inverse of `mix`."""
    return mix(cubes, orders.argsort(0))
