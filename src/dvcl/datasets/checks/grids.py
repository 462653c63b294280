"""Whether a grid can be trusted: shear, two transforms in one header, image against label."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from nibabel.nifti1 import Nifti1Header

from dvcl.datasets.checks.finding import Finding
from dvcl.datasets.checks.headers import nifti_image
from dvcl.volume import Geometry
from dvcl.volume.grid import by
from dvcl.volume.turning import moves_between, turned

TOLERANCE_MM = 0.5  # between the corners of an image's and its label's grid
SHEAR_MM = 0.1  # from which on a grid is no longer taken for orthogonal
NEGLIGIBLE_MM = 1e-3  # float32 round-off of headers: not worth a word


def grid_findings(path: Path, geometry: Geometry) -> Iterator[Finding]:
    """What is odd about one file's own grid."""
    yield from shear_findings(path, geometry)
    yield from (Finding(remark.code, str(path), remark.text) for remark in geometry.remarks)
    image = nifti_image(path)
    if image is not None:
        yield from form_findings(path, geometry, image.header)
        yield from fourth_axis_findings(path, image.shape)


def shear_findings(path: Path, geometry: Geometry) -> Iterator[Finding]:
    """Axes that are not at right angles: negligible, repaired, or refused."""
    distance = shear_mm(geometry)
    if distance > SHEAR_MM:
        yield Finding(
            "sheared",
            str(path),
            f"its axes are not at right angles: corners lie up to {distance:.2f} mm from those of "
            f"the nearest right-angled grid; at most {SHEAR_MM} mm was expected.",
            "Resample it onto a right-angled grid (a tilted gantry is one cause).",
            numbers={"distance_mm": distance},
        )
    elif distance > NEGLIGIBLE_MM:
        yield Finding(
            "slightly-sheared",
            str(path),
            f"its axes are nearly at right angles (up to {distance:.3f} mm off at the corners) "
            "and are taken to be so.",
            "--fix writes a right-angled header.",
            numbers={"distance_mm": distance},
        )


def form_findings(path: Path, geometry: Geometry, header: Nifti1Header) -> Iterator[Finding]:
    """Two transforms that disagree, or none at all; the sform counts where there is one."""
    sform, qform = int(header["sform_code"]), int(header["qform_code"])
    if sform <= 0 and qform <= 0:
        yield Finding(
            "no-forms",
            str(path),
            "the header has neither sform nor qform: voxel size alone is known, and x is taken "
            "to grow to the left.",
            "Nothing in the file tells left from right: compare it with the scanner's pictures.",
        )
    elif sform > 0 and qform > 0 and (difference := _difference(geometry, _qform(header))):
        yield Finding(
            "forms-differ",
            str(path),
            f"{difference}; the sform counts.",
            "Find out which is right; --fix makes the qform equal to the sform.",
        )


def fourth_axis_findings(path: Path, shape: tuple[int, ...]) -> Iterator[Finding]:
    """Further axes of length 1, which reading drops."""
    if len(shape) > 3:
        yield Finding(
            "fourth-axis",
            str(path),
            f"has {len(shape)} axes, {by(shape)} (x, y, z, ...); those of length 1 are dropped.",
            "--fix writes three axes.",
        )


def pair_findings(
    image: Path, image_grid: Geometry, label: Path, label_grid: Geometry
) -> Iterator[Finding]:
    """An image and a label map that do not lie on each other, their axes turned alike."""
    moves = moves_between(label_grid, image_grid)
    turned_grid = turned(label_grid, moves)
    if image_grid.shape != turned_grid.shape:
        yield Finding(
            "size-mismatch",
            str(label),
            f"has {by(turned_grid.shape)} voxels (z, y, x), its image {image} "
            f"{by(image_grid.shape)}; equal sizes were expected.",
            "Resample the label onto the image's grid.",
        )
        return
    distance = image_grid.corner_distance_mm(turned_grid)
    if distance > TOLERANCE_MM:
        yield Finding(
            "grid-mismatch",
            str(label),
            f"lies up to {distance:.1f} mm away from its image {image} "
            f"({_grid(label_grid)} against {_grid(image_grid)}); at most {TOLERANCE_MM} mm was "
            "expected.",
            "Resample the label onto the image's grid, or correct the header that is wrong.",
            numbers={"distance_mm": distance},
        )
    elif not moves.is_none:
        yield Finding(
            "axes-differ",
            str(label),
            f"its axes are {label_grid.orientation}, those of its image {image_grid.orientation}: "
            "every voxel is in its place, and the axes are turned when it is read.",
        )


def right_angled(geometry: Geometry) -> Geometry:
    """The nearest grid with axes at right angles: the same voxel size, and the same centre."""
    axes = geometry.affine[:3, :3]
    spacing = np.linalg.norm(axes, axis=0)
    # The closest rotation (or reflection) to the unit axes is the orthogonal polar factor.
    left, _, right = np.linalg.svd(axes / spacing)
    centre = (np.array(geometry.shape[::-1]) - 1) / 2
    affine = geometry.affine.copy()
    affine[:3, :3] = left @ right * spacing
    affine[:3, 3] += (axes - affine[:3, :3]) @ centre
    return Geometry(geometry.shape, affine)


def shear_mm(geometry: Geometry) -> float:
    """How far the corners lie from those of the nearest right-angled grid, in mm at most."""
    return geometry.corner_distance_mm(right_angled(geometry))


def _qform(header: Nifti1Header) -> np.ndarray | None:
    with suppress(ValueError):
        affine = np.asarray(header.get_qform(), dtype=np.float64)
        return affine if np.isfinite(affine).all() else None
    return None


def _difference(geometry: Geometry, qform: np.ndarray | None) -> str:
    """How the qform differs from the sform; empty where it does not."""
    if qform is None:
        return "the qform of the header is no rotation"
    other = Geometry(geometry.shape, qform)
    distance = geometry.corner_distance_mm(other)
    if distance <= SHEAR_MM:
        return ""
    return (
        f"sform ({geometry.orientation}) and qform ({other.orientation}) of the header put corners "
        f"up to {distance:.2f} mm apart"
    )


def _grid(geometry: Geometry) -> str:
    origin = ", ".join(f"{mm:.5g}" for mm in geometry.affine[:3, 3])
    return f"{by(geometry.spacing_mm)} mm {geometry.orientation} from ({origin})"
