"""Preparation of one image and its label: orient, clip, resample, scale."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, get_args

import numpy as np

from dvcl.errors import InputError
from dvcl.preprocessing.geometry import Grid, make_grid
from dvcl.preprocessing.intensity import percentile_scale, require_finite
from dvcl.preprocessing.resampling import LabelInterpolation, resample, resample_labels
from dvcl.volume import Geometry, Volume

OPPOSITES = ("LR", "AP", "IS")
MOST_VOXELS = 2**31  # of a prepared image: 8 GiB, eight times a CT of 512 x 512 x 1000 voxels


@dataclass(frozen=True)
class Preprocessing:
    """Settings of the preparation, as the paper's appendix D.

    Attributes:
        orientation: Axis codes of (x, y, z), each naming where the index grows to.
        spacing_mm: (z, y, x).
        window: Clip to (low, high) HU before anything else; None for MR.
        percentiles: Scaled to 0 and 1, in [0, 100], over the whole volume.
        order: Of the image's interpolation, 1 (linear) or 3 (cubic spline).
        label_interpolation: "nearest" voxel, or "linear" per class and then the greatest share.

    Raises:
        InputError: When a setting is out of its range; all of them are listed.
    """

    orientation: str = "LPI"
    spacing_mm: tuple[float, float, float] = (2.5, 1.25, 1.25)
    window: tuple[float, float] | None = (-325.0, 325.0)
    percentiles: tuple[float, float] = (0.5, 99.5)
    order: int = 1
    label_interpolation: LabelInterpolation = "nearest"

    def __post_init__(self) -> None:
        if problems := [*self._problems()]:
            raise InputError(problems)

    def _problems(self) -> list[str]:
        letters = sorted(self.orientation)
        low, high = self.percentiles
        checks = {
            f"orientation {self.orientation!r}: expected one letter of each of L/R, A/P and I/S, "
            'for x, y and z, as "LPI".': (
                len(letters) == 3
                and all(sum(pair.count(c) for c in letters) == 1 for pair in OPPOSITES)
            ),
            f"spacing_mm {self.spacing_mm}: expected three positive lengths (z, y, x) in mm.": (
                len(self.spacing_mm) == 3 and all(0 < mm < np.inf for mm in self.spacing_mm)
            ),
            f"window {self.window}: expected (low, high) in HU with low < high, or none.": (
                self.window is None or self.window[0] < self.window[1]
            ),
            f"percentiles {self.percentiles}: expected 0 <= low < high <= 100.": (
                0 <= low < high <= 100
            ),
            f"order {self.order}: expected 1 (linear) or 3 (cubic spline).": self.order in (1, 3),
            f"label_interpolation {self.label_interpolation!r}: expected 'nearest' or 'linear'.": (
                self.label_interpolation in get_args(LabelInterpolation)
            ),
        }
        return [problem for problem, holds in checks.items() if not holds]

    def grid(self, source: Geometry) -> Grid:
        """Lay the prepared grid over a file's grid.

        Raises:
            InputError: When it would have more than `MOST_VOXELS`, which ends the program without a
                word for lack of memory.
        """
        grid = make_grid(source, self.orientation, self.spacing_mm)
        voxels = math.prod(grid.prepared.shape)
        if voxels > MOST_VOXELS:
            raise InputError(
                f"voxels of {_by(source.spacing_mm)} mm become {voxels:.1e} prepared ones of "
                f"{_by(self.spacing_mm)} mm (z, y, x); at most {MOST_VOXELS:.1e} were expected. "
                "Correct the header if it is wrong, or choose a coarser preprocessing.spacing_mm."
            )
        return grid

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Preprocessing:
        """Inverse of `to_json`."""
        plain: dict[str, Any] = {
            name: tuple(item) if isinstance(item, list) else item for name, item in value.items()
        }
        return cls(**plain)


def prepare_image(volume: Volume, settings: Preprocessing) -> tuple[np.ndarray, Grid]:
    """Orient, clip, resample and scale one image (DVCL appendix D, in its order).

    Args:
        volume: As read from the file; not changed.
        settings: Of the preparation.

    Returns:
        float32 (D, H, W), about 0 to 1 and not clamped, and the grid that leads back to the file.

    Raises:
        InputError: When the image is constant, has values that are not finite, or gets too large.
    """
    grid = settings.grid(volume.geometry)
    if np.issubdtype(volume.array.dtype, np.floating):
        # A coarser grid may step over a NaN, and the window would make a number of an infinity.
        require_finite(volume.array)
    resampled = resample(volume.array, grid, settings.order, settings.window)
    return percentile_scale(resampled, settings.percentiles, out=resampled), grid


def prepare_label(
    classes: np.ndarray, grid: Grid, interpolation: LabelInterpolation = "nearest"
) -> np.ndarray:
    """Bring class indices (D, H, W) of the file's grid to the prepared grid, uint8.

    ``interpolation`` as in `resample_labels`.
    """
    return resample_labels(classes, grid, interpolation)


def _by(lengths: tuple[float, float, float]) -> str:
    return " x ".join(f"{length:.4g}" for length in lengths)
