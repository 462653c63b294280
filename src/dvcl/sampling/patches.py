"""Where a patch is cut and how it is cut, padding volumes thinner than the patch."""

from __future__ import annotations

import math

import numpy as np

CACHED_VOXELS = 2**16  # as float32 an eighth of a usual core's cache

Start = tuple[int, int, int]
Size = tuple[int, int, int]


def uniform_start(shape: Size, patch: Size, random: np.random.Generator) -> Start:
    """First voxel of a patch, uniform over all positions, the last one included.

    Along an axis that is thinner than the patch the start is negative: the volume lies in the
    middle of the patch and is padded on both sides.
    """
    return tuple(_place(size, wanted, random) for size, wanted in zip(shape, patch, strict=True))  # type: ignore[return-value]


def centred_start(shape: Size, patch: Size, voxel: np.ndarray) -> Start:
    """First voxel of the patch centred on ``voxel`` (d, h, w), moved inside the volume."""
    start = []
    for size, wanted, centre in zip(shape, patch, voxel, strict=True):
        free = size - wanted
        start.append(_pad_before(size, wanted) if free < 0 else _clamp(centre - wanted // 2, free))
    return tuple(start)  # type: ignore[return-value]


def is_padded(shape: tuple[int, ...], start: Start, patch: tuple[int, ...]) -> bool:
    """Whether a patch that begins at ``start`` reaches beyond the volume."""
    sides = zip(shape, start, patch, strict=True)
    return any(first < 0 or first + wanted > size for size, first, wanted in sides)


def copy_patch(source: np.ndarray, start: Start, target: np.ndarray) -> None:
    """Fill ``target`` (d, h, w) with the patch of ``source`` (D, H, W) that begins at ``start``.

    Voxels of ``target`` outside the volume are left as they are: the caller's padding value.
    """
    inside, place = _overlap(source, start, target)
    target[place] = source[inside]


def copy_scaled_patch(
    source: np.ndarray, start: Start, target: np.ndarray, scale: float, offset: float
) -> None:
    """As `copy_patch`, of ``source * scale + offset`` into a float32 ``target``."""
    inside, place = _overlap(source, start, target)
    values, pixels = source[inside], target[place]
    slices = max(1, CACHED_VOXELS // math.prod(values.shape[1:]))
    # A few slices at a time: after the first pass the others find it in the processor's cache.
    for first in range(0, len(values), slices):
        part = pixels[first : first + slices]
        part[...] = values[first : first + slices]
        part *= np.float32(scale)
        part += np.float32(offset)


def _overlap(
    source: np.ndarray, start: Start, target: np.ndarray
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where volume and patch overlap: in the volume, and in the patch."""
    inside, place = [], []
    for first, size, wanted in zip(start, source.shape, target.shape, strict=True):
        low, high = max(first, 0), min(first + wanted, size)
        inside.append(slice(low, high))
        place.append(slice(low - first, high - first))
    return tuple(inside), tuple(place)


def _place(size: int, wanted: int, random: np.random.Generator) -> int:
    if size < wanted:
        return _pad_before(size, wanted)
    return int(random.integers(0, size - wanted, endpoint=True))


def _pad_before(size: int, wanted: int) -> int:
    return -((wanted - size) // 2)


def _clamp(value: int, highest: int) -> int:
    return int(min(max(value, 0), highest))
