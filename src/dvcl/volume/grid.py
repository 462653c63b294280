"""The place of a voxel grid in the patient, and what every format's grid must fulfil."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np

from dvcl.errors import InputError
from dvcl.volume.nifti_forms import Forms

# Voxels of scans of people are millimetres apart; a header that says otherwise is wrong, or means
# another unit without saying so: metres (0.0008) or micrometres (800).
LEAST_SPACING_MM, GREATEST_SPACING_MM = 1e-2, 1e2


@dataclass(frozen=True)
class Remark:
    """Something to know about a file that can be used.

    Attributes:
        code: Stable name, see docs/check.md.
        text: In words.
    """

    code: str
    text: str


@dataclass(frozen=True)
class Geometry:
    """Where a voxel grid lies in the patient.

    Attributes:
        shape: Voxels along (D, H, W) = (z, y, x).
        affine: (4, 4) float64, maps the voxel index (x, y, z) to world millimetres, RAS+, as NIfTI.
        forms: How a NIfTI header says the same; None where the grid comes from elsewhere.
        remarks: What reading the header has decided, and a person may want to know.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray
    forms: Forms | None = None
    remarks: tuple[Remark, ...] = ()

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between voxel centres along (z, y, x), in mm."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(z), float(y), float(x)

    @property
    def orientation(self) -> str:
        """Axis codes of (x, y, z), each naming the direction in which the index grows: "LPI"."""
        return "".join(nibabel.aff2axcodes(self.affine))

    def corner_distance_mm(self, other: Geometry) -> float:
        """Largest distance in mm between the same corner voxel of both grids (of equal shape)."""
        depth, height, width = (size - 1 for size in self.shape)
        corners = np.array(list(itertools.product((0, width), (0, height), (0, depth))))
        difference = self.affine - other.affine
        offsets = corners @ difference[:3, :3].T + difference[:3, 3]
        return float(np.linalg.norm(offsets, axis=1).max())


@dataclass(frozen=True)
class Volume:
    """A 3-D array and the place of its voxels.

    Attributes:
        array: (D, H, W) = (z, y, x).
        affine: As in `Geometry`.
        forms: As in `Geometry`; a file is written with them.
        remarks: As in `Geometry`.
    """

    array: np.ndarray
    affine: np.ndarray
    forms: Forms | None = None
    remarks: tuple[Remark, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (D, H, W)."""
        depth, height, width = self.array.shape
        return depth, height, width

    @property
    def geometry(self) -> Geometry:
        """The grid without the values."""
        return Geometry(self.shape, self.affine, self.forms, self.remarks)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between voxel centres along (z, y, x), in mm."""
        return self.geometry.spacing_mm


def make_geometry(path: Path, size: Sequence[int], affine: np.ndarray) -> Geometry:
    """Check what a header says and make a geometry of it.

    Args:
        path: Named in the errors.
        size: Voxels along (x, y, z), and perhaps further axes.
        affine: As in `Geometry`.

    Raises:
        InputError: When this is not a single 3-D volume with a usable affine.
    """
    check_size(path, size)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    is_plausible = (spacing >= LEAST_SPACING_MM) & (spacing <= GREATEST_SPACING_MM)
    if not np.isfinite(affine).all() or not is_plausible.all():
        listed = " x ".join(f"{length:.4g}" for length in spacing)
        raise InputError(
            f"{path}: the header gives no usable voxel spacing, {listed} mm (x, y, z); numbers "
            f"from {LEAST_SPACING_MM:g} to {GREATEST_SPACING_MM:g} were expected. If they are "
            "metres or micrometres, write millimetres into the header; else export the file again."
        )
    if abs(np.linalg.det(affine[:3, :3])) < 1e-6 * np.prod(spacing):
        raise InputError(
            f"{path}: the header's affine is singular (its axes do not span space):\n{affine}\n"
            "Export the file again or correct its header."
        )
    width, height, depth = size[:3]
    return Geometry((depth, height, width), affine)


def check_size(path: Path, size: Sequence[int]) -> None:
    """Refuse what is not a single 3-D volume; ``size`` as (x, y, z) and perhaps further axes."""
    if len(size) < 3 or any(voxels != 1 for voxels in size[3:]) or min(size[:3]) < 2:
        raise InputError(
            f"{path}: has the size {by(size)}; a single 3-D volume with at least 2 voxels "
            "along each axis was expected. Export one volume per file, without time points."
        )


def by(size: Sequence[float]) -> str:
    """Sizes as people write them: "512 x 512 x 110", "0.8 x 0.8 x 2.5"."""
    return " x ".join(f"{length:.4g}" if length % 1 else f"{length:.0f}" for length in size)
