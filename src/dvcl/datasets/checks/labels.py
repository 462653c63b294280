"""What a label map holds: whole numbers, known organs, and where they lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dvcl.datasets.checks.finding import Finding
from dvcl.datasets.checks.headers import nifti_image
from dvcl.datasets.dataset import Case, LabelTable
from dvcl.datasets.masks import has_masks
from dvcl.errors import counted_are
from dvcl.volume import Geometry, read_volume


@dataclass(frozen=True)
class OrganPlace:
    """One organ in one label map.

    Attributes:
        voxels: Of the organ.
        volume_ml: Of all its voxels.
        x_mm: World coordinate of its centroid, growing to the right of the patient.
        at_border: Whether it reaches the outermost voxels of the scan.
    """

    voxels: int
    volume_ml: float
    x_mm: float
    at_border: bool


def measure_organs(
    classes: np.ndarray, geometry: Geometry, labels: LabelTable
) -> dict[str, OrganPlace]:
    """Describe every organ that a label map shows, in the order of the classes.

    Args:
        classes: uint8 (D, H, W) class indices.
        geometry: Of the label map.
        labels: Names of the classes.
    """
    # Organs are a small part of a scan: everything else is left aside first.
    inside = np.flatnonzero(classes)
    found = classes.ravel()[inside]
    counts = np.bincount(found, minlength=labels.classes)
    z, y, x = np.unravel_index(inside, classes.shape)
    with np.errstate(invalid="ignore"):
        centres = [np.bincount(found, axis, labels.classes) / counts for axis in (x, y, z)]
    x_mm = geometry.affine[0, :3] @ centres + geometry.affine[0, 3]
    voxel_ml = abs(float(np.linalg.det(geometry.affine[:3, :3]))) / 1000
    border = _border_classes(classes)
    return {
        labels.names[organ]: OrganPlace(
            int(counts[organ]), counts[organ] * voxel_ml, float(x_mm[organ]), organ in border
        )
        for organ in range(1, labels.classes)
        if counts[organ]
    }


def empty_findings(path: Path, organs: Mapping[str, OrganPlace]) -> Iterator[Finding]:
    """A label map of nothing but background."""
    if not organs:
        yield Finding(
            "label-empty",
            str(path),
            "holds nothing but background; organs were expected.",
            "If the scan does show organs, label them or use it as an unlabelled one.",
        )


def alias_findings(path: Path, array: np.ndarray, labels: LabelTable) -> Iterator[Finding]:
    """Stray values that the data set's table reads as another one."""
    for stray, value in labels.aliases:
        voxels = int(np.count_nonzero(array == stray))
        if voxels:
            organ = labels.names[labels.values.index(value)]
            yield Finding(
                "label-alias",
                str(path),
                f"{voxels} voxel{'s have' if voxels > 1 else ' has'} the stray value {stray}, "
                f"read as {value} ({organ}).",
                numbers={"value": stray, "read_as": value, "voxels": voxels},
            )


def rounding_findings(case: Case) -> Iterator[Finding]:
    """Label values that are not quite whole numbers, and are rounded when they are read."""
    if case.label is None or has_masks(case) or _stores_integers(case.label):
        return
    array = read_volume(case.label, dtype=np.float64).array
    off = np.abs(array - np.rint(array))
    if off.max() > 0:
        yield Finding(
            "label-rounded",
            str(case.label),
            f"{counted_are(int((off > 0).sum()), 'voxel')} off whole numbers by up to "
            f"{off.max():.2g} (a scaled header) and are rounded.",
            "--fix writes integers.",
            numbers={"voxels": int((off > 0).sum()), "off": float(off.max())},
        )


def _border_classes(classes: np.ndarray) -> set[int]:
    faces = [np.unique(classes.take((0, -1), axis=axis)) for axis in range(3)]
    return set(np.concatenate(faces).tolist())


def _stores_integers(path: Path) -> bool:
    image = nifti_image(path)
    if image is None:
        return True  # of the other formats none scales its values
    stored = image.dataobj
    is_scaled = (getattr(stored, "slope", 1), getattr(stored, "inter", 0)) != (1, 0)
    return bool(np.issubdtype(image.get_data_dtype(), np.integer)) and not is_scaled
