"""Random turns and sizes of patches."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.nn import functional as F

from dvcl.sampling.patches import Start

# Fills an array (d, h, w) with what lies from a voxel on.
Fill = Callable[[Start, np.ndarray], None]


def draw_warp(
    degrees: float, scaling: float, spacing_mm: Sequence[float], random: np.random.Generator
) -> np.ndarray:
    """A random turn and size, as the matrix (3, 3) from a patch's voxels to the volume's.

    Args:
        degrees: Largest angle about each of the three axes.
        scaling: Sizes lie between 1 / (1 + scaling) and 1 + scaling, evenly by their logarithm.
        spacing_mm: Of the prepared voxels, (z, y, x): the turn is one in space.
        random: Draws angles and size.
    """
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_euler("zyx", random.uniform(-degrees, degrees, 3), degrees=True)
    limit = np.log1p(scaling)
    spacing = np.asarray(spacing_mm)
    matrix = turn.as_matrix() * np.exp(random.uniform(-limit, limit))
    return np.asarray(matrix * spacing / spacing[:, None])


def copy_warped(fill: Fill, start: Start, matrix: np.ndarray, target: np.ndarray) -> None:
    """Fill ``target`` (d, h, w) as if the volume had been warped about the patch's middle.

    Args:
        fill: Copies from the volume, padding it where it ends.
        start: First voxel of the patch before it is warped.
        matrix: See `draw_warp`.
        target: float32 is interpolated linearly, labels take the nearest voxel.
    """
    sides = np.array(target.shape)
    middle = np.array(start) + (sides - 1) / 2
    reach = np.abs(matrix) @ ((sides - 1) / 2)
    low = np.floor(middle - reach).astype(int)
    box = np.empty(np.ceil(middle + reach).astype(int) - low + 1, target.dtype)
    fill(tuple(low.tolist()), box)
    is_image = target.dtype == np.float32
    # torch counts from -1 to 1 over a box, and in the order x, y, z.
    size = np.maximum(np.array(box.shape) - 1, 1)
    turned = matrix * (sides - 1) / size[:, None]
    theta = np.column_stack([turned, 2 * (middle - low) / size - 1])[::-1, [2, 1, 0, 3]]
    places = F.affine_grid(
        torch.from_numpy(theta.astype(np.float32))[None], [1, 1, *target.shape], align_corners=True
    )
    found = F.grid_sample(
        torch.from_numpy(box.astype(np.float32, copy=False))[None, None],
        places,
        mode="bilinear" if is_image else "nearest",
        padding_mode="border",
        align_corners=True,
    )
    target[...] = found[0, 0].numpy()
