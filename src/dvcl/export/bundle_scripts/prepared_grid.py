"""The grid that the network was trained on, laid over a scan's own, centre on centre."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.transforms import InvertibleTransform, MapTransform, SpatialResample

# Of the whole length of an axis, in voxels: header round-off.
NEGLIGIBLE_SHIFT = 1e-3


class PreparedGridd(MapTransform, InvertibleTransform):
    """Resample to a spacing; the way back is linear.

    MONAI's Spacing lays the first voxels of both grids onto each other instead.

    Args:
        keys: Images (1, x, y, z), already turned to the orientation of the training.
        spacing_mm: Along (x, y, z).
        order: Of the interpolation, 1 (linear) or 3 (cubic spline).
    """

    def __init__(self, keys: Sequence[str], spacing_mm: Sequence[float], order: int = 1) -> None:
        super().__init__(keys)
        self.spacing_mm = spacing_mm
        how = ("bilinear", "border") if order == 1 else (order, "nearest")
        self.resample = SpatialResample(mode=how[0], padding_mode=how[1], dtype=np.float64)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Resample every key."""
        made = dict(data)
        for key in self.key_iterator(made):
            affine = np.asarray(made[key].affine, dtype=np.float64)
            shape, target = lay_grid(affine, made[key].shape[1:], self.spacing_mm)
            made[key] = self.resample(made[key], torch.from_numpy(target), shape)
        return made

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Back to the grid before."""
        made = dict(data)
        for key in self.key_iterator(made):
            made[key].applied_operations[-1]["extra_info"].update(
                mode="bilinear", padding_mode="border"
            )
            made[key] = self.resample.inverse(made[key])
        return made


def lay_grid(
    affine: np.ndarray, shape: Sequence[int], spacing_mm: Sequence[float]
) -> tuple[list[int], np.ndarray]:
    """Shape and affine of the prepared grid, over one of this affine and shape."""
    own_mm = np.linalg.norm(affine[:3, :3], axis=0)
    sizes, steps, starts = [], [], []
    for size, step in zip(shape, np.asarray(spacing_mm) / own_mm, strict=True):
        is_negligible = abs(step - 1) * (size - 1) / 2 < NEGLIGIBLE_SHIFT
        steps.append(1.0 if is_negligible else float(step))
        sizes.append(max(1, round(round(size / steps[-1], 9))))
        starts.append(((size - 1) - (sizes[-1] - 1) * steps[-1]) / 2)
    target = affine.copy()
    target[:3, 3] += affine[:3, :3] @ starts
    target[:3, :3] *= steps
    return sizes, target
