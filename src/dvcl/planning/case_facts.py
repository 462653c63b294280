"""What one scan is like: grid, body, intensities, organs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from dvcl.datasets.dataset import Case, LabelTable, Modality, Role
from dvcl.datasets.masks import read_case_label
from dvcl.errors import InputError
from dvcl.preprocessing.body import body_mask, coarse_steps
from dvcl.volume import Volume, read_volume
from dvcl.volume.turning import orient

# In this orientation the array's axes are those of the default preparation.
ORIENTATION = "LPI"
PERCENTILES = (0.5, 5.0, 50.0, 95.0, 99.5)

Lengths = tuple[float, float, float]


@dataclass(frozen=True)
class OrganFacts:
    """One organ in one scan.

    Attributes:
        volume_ml: Of all its voxels.
        chord_mm: Mean length of straight cuts through it along (z, y, x); a sphere's is two thirds
            of its diameter.
        intensity: `PERCENTILES` of the image inside it.
    """

    volume_ml: float
    chord_mm: Lengths
    intensity: tuple[float, ...]


@dataclass(frozen=True)
class CaseFacts:
    """One scan, its axes turned to (z, y, x).

    Attributes:
        id: Of the case.
        role: Of the case.
        shape: Voxels.
        spacing_mm: Between voxels.
        orientation: Of the file.
        lowest: Least intensity of the scan.
        body_share: Of the scan's volume, in [0, 1].
        body_mm: Extent of the body along (z, y, x).
        body_intensity: `PERCENTILES` inside the body.
        organs: By name, those that the scan shows; None where its label was not looked at.
    """

    id: str
    role: Role | None
    shape: tuple[int, int, int]
    spacing_mm: Lengths
    orientation: str
    lowest: float
    body_share: float
    body_mm: Lengths
    body_intensity: tuple[float, ...]
    organs: dict[str, OrganFacts] | None

    @property
    def field_mm(self) -> Lengths:
        """The field of view along (z, y, x)."""
        depth, height, width = (n * mm for n, mm in zip(self.shape, self.spacing_mm, strict=True))
        return depth, height, width


def measure_case(case: Case, labels: LabelTable, modality: Modality) -> CaseFacts:
    """Read one scan and describe it; the label only of a case that may be trained on with it.

    Raises:
        InputError: When a file cannot be read, the image is not finite, or the label does not fit.
    """
    image = read_volume(case.image)
    if not np.isfinite(image.array).all():
        raise InputError(
            f"{case.image}: has voxels that are NaN or infinite; finite numbers were expected. "
            "`dvcl check` lists everything that is wrong with a data set."
        )
    turned = orient(image, ORIENTATION)
    coarse = turned.array[coarse_steps(turned)]
    body = body_mask(coarse, modality)
    organs = None
    if case.label is not None and case.role in ("labelled", None):
        organs = measure_organs(turned, _classes(case, image, labels), labels)
    return CaseFacts(
        case.id,
        case.role,
        turned.shape,
        turned.spacing_mm,
        image.geometry.orientation,
        float(coarse.min()),
        float(body.mean()),
        _extent_mm(body, turned),
        _percentiles(coarse[body]),
        organs,
    )


def _classes(case: Case, image: Volume, labels: LabelTable) -> np.ndarray:
    """Class indices, turned."""
    assert case.label is not None
    label = read_case_label(case, labels, image.geometry)
    if label.shape != image.shape:
        raise InputError(
            f"{case.label}: has {label.shape} voxels (z, y, x), its image {image.shape}; equal "
            "sizes were expected. `dvcl check` lists everything that is wrong with a data set."
        )
    return orient(Volume(labels.encode(label.array, case.label), image.affine), ORIENTATION).array


def _extent_mm(body: np.ndarray, image: Volume) -> Lengths:
    """Of a mask on every n-th voxel of the image."""
    extents = []
    for axis, mm in enumerate(image.spacing_mm):
        filled = np.flatnonzero(body.any(axis=tuple({0, 1, 2} - {axis})))
        steps = coarse_steps(image)[axis].step
        voxels = min((filled[-1] - filled[0] + 1) * steps, image.shape[axis])
        extents.append(float(voxels * mm))
    return extents[0], extents[1], extents[2]


def measure_organs(image: Volume, classes: np.ndarray, labels: LabelTable) -> dict[str, OrganFacts]:
    """Describe every organ in a label map.

    Args:
        image: Turned to (z, y, x).
        classes: uint8 (D, H, W) class indices on the same grid.
        labels: Names of the classes.
    """
    boxes = ndimage.find_objects(classes, labels.classes - 1)
    facts = {}
    for index, (name, box) in enumerate(zip(labels.organs, boxes, strict=True), start=1):
        if box is None:
            continue
        mask = classes[box] == index
        voxels = int(mask.sum())
        facts[name] = OrganFacts(
            voxels * float(np.prod(image.spacing_mm)) / 1000,
            _chords_mm(mask, voxels, image.spacing_mm),
            _percentiles(image.array[box][mask]),
        )
    return facts


def _chords_mm(mask: np.ndarray, voxels: int, spacing_mm: Lengths) -> Lengths:
    """All voxels, shared out among the straight runs that they form along each axis."""
    lengths = []
    for axis, mm in enumerate(spacing_mm):
        along = np.moveaxis(mask, axis, 0)
        runs = int(along[0].sum()) + int((along[1:] & ~along[:-1]).sum())
        lengths.append(voxels / runs * mm)
    return lengths[0], lengths[1], lengths[2]


def _percentiles(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in np.percentile(values, PERCENTILES))
