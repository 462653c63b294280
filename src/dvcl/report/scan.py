"""One scan as it is shown: turned to the reader, with its labels and what to know about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dvcl.datasets.checks.finding import Finding
from dvcl.datasets.checks.grids import pair_findings
from dvcl.datasets.checks.intensities import value_findings
from dvcl.datasets.dataset import Case, LabelTable, Modality, Role
from dvcl.datasets.masks import read_case_label
from dvcl.datasets.segments import present_segments, table_of_segments
from dvcl.errors import InputError
from dvcl.preprocessing.body import body_mask, coarse_steps, looks_like_hu
from dvcl.report.shown import (
    DISPLAY_ORIENTATION,
    SOFT_TISSUE_HU,
    Box,
    percentile_window,
    richest_slices,
)
from dvcl.store import StoredCase
from dvcl.volume import Geometry, Segment, Volume, read_volume, volume_stem
from dvcl.volume.turning import orient

Window = tuple[float, float]
Lengths = tuple[float, float, float]
NORMALISED: Window = (0.0, 1.0)  # of prepared images
MARGIN_MM = 15.0  # around the body


@dataclass(frozen=True)
class Scan:
    """What a picture of one case needs.

    Attributes:
        id: Of the case.
        role: Of the case; None for one that has none.
        name: File name.
        image: In display orientation.
        classes: uint8 class indices on the image's grid; None without labels.
        labels: Meaning of the classes.
        window: Intensities shown from black to white.
        unit: "HU", "normalised" or "" for any.
        body: Boolean mask on every n-th voxel, see `coarse`.
        geometry: Of the file.
    """

    id: str
    role: Role | None
    name: str
    image: Volume
    classes: np.ndarray | None
    labels: LabelTable
    window: Window
    unit: str
    body: np.ndarray
    geometry: Geometry

    @property
    def coarse(self) -> np.ndarray:
        """The voxels that `body` is about."""
        return self.image.array[coarse_steps(self.image)]

    @property
    def cut(self) -> list[int]:
        """Where (axial, coronal, sagittal) slices show most organs, or the middle of the body."""
        if self.classes is not None and self.classes.any():
            return richest_slices(self.classes)
        steps = coarse_steps(self.image)
        centre = np.argwhere(self.body).mean(axis=0)
        places = zip(centre, steps, self.image.shape, strict=True)
        return [min(round(place * part.step), size - 1) for place, part, size in places]

    @property
    def box(self) -> Box:
        """Body and organs with a margin: outside is nothing but air."""
        steps = coarse_steps(self.image)
        box = []
        for axis, (mm, part) in enumerate(zip(self.image.spacing_mm, steps, strict=True)):
            others = tuple({0, 1, 2} - {axis})
            filled = np.flatnonzero(self.body.any(axis=others)) * part.step
            if self.classes is not None:
                filled = np.append(filled, np.flatnonzero(self.classes.any(axis=others)))
            margin = round(MARGIN_MM / mm)
            box.append(slice(max(0, int(filled.min()) - margin), int(filled.max()) + 1 + margin))
        return tuple(box)

    @property
    def volumes_ml(self) -> dict[str, float]:
        """Of every organ of the table, 0 where it is absent; empty without labels."""
        if self.classes is None:
            return {}
        counts = np.bincount(self.classes.ravel(), minlength=self.labels.classes)
        voxel_ml = float(np.prod(self.image.spacing_mm)) / 1000
        return {
            name: float(count) * voxel_ml
            for name, count in zip(self.labels.organs, counts[1:], strict=True)
        }


def scan_of_case(
    case: Case, labels: LabelTable, modality: Modality, window: Window | None = None
) -> Scan:
    """Read a raw case; the label of an unlabelled one is not opened.

    Args:
        case: With its files.
        labels: Meaning of its integers.
        modality: "CT" or "MR".
        window: Shown; None takes soft tissue for CT, percentiles for MR.

    Raises:
        InputError: When a file cannot be read, is not finite, or the label lies elsewhere.
    """
    image = read_volume(case.image)
    _refuse(value_findings(case.image, image.array), "not-finite")
    classes = None
    if case.label is not None and case.role != "unlabelled":
        label = read_case_label(case, labels, image.geometry)
        _refuse(
            pair_findings(case.image, image.geometry, case.label, label.geometry),
            "size-mismatch", "grid-mismatch",
        )  # fmt: skip
        encoded = Volume(labels.encode(label.array, case.label), label.affine)
        classes = orient(encoded, DISPLAY_ORIENTATION).array
    return _scan(
        image, classes, window, modality, id=case.id, role=case.role, labels=labels,
        name=case.image.name, unit="HU" if modality == "CT" else "",
    )  # fmt: skip


def _refuse(findings: Iterable[Finding], *codes: str) -> None:
    """Refuse what cannot be drawn, in the words of `dvcl check`."""
    if problems := [finding.problem for finding in findings if finding.code in codes]:
        raise InputError(problems)


def scan_of_stored_case(
    case: StoredCase, labels: LabelTable, modality: Modality, role: Role | None = None
) -> Scan:
    """Show what preparation made of a case: normalised intensities on the prepared grid."""
    affine = case.grid.prepared.affine
    image = Volume(case.image.astype(np.float32) * case.scale + case.offset, affine)
    classes = None
    if case.label is not None:
        classes = orient(Volume(np.asarray(case.label), affine), DISPLAY_ORIENTATION).array
    return _scan(
        image, classes, NORMALISED, modality, id=case.id, role=role, labels=labels,
        name=f"{case.id}, prepared from {case.source.name}", unit="normalised",
    )  # fmt: skip


def lone_scan(
    image: Path,
    label: Path | None,
    labels: LabelTable | None,
    modality: Modality | None,
    window: Window | None,
    label_values: bool = False,
) -> Scan:
    """Read one volume by itself; without names, the segments of its label map become a table.

    Raises:
        InputError: As `scan_of_case`.
    """
    if modality is None:
        modality = "CT" if looks_like_hu(read_volume(image).array) else "MR"
    if labels is None:
        found = present_segments(label, label_values) if label else ()
        labels = table_of_segments({image: found or (Segment("label 1", 1),)})
    case = Case(volume_stem(image), image, label, label_values=label_values)
    return scan_of_case(case, labels, modality, window)


def _scan(
    image: Volume,
    classes: np.ndarray | None,
    window: Window | None,
    modality: Modality,
    **rest: Any,
) -> Scan:
    turned = orient(image, DISPLAY_ORIENTATION)
    coarse = turned.array[coarse_steps(turned)]
    if window is None:
        window = SOFT_TISSUE_HU if modality == "CT" else percentile_window(coarse)
    # Prepared CT has air at 0, as MR.
    kind: Modality = modality if rest["unit"] == "HU" else "MR"
    body = body_mask(coarse, kind)
    return Scan(
        image=turned, classes=classes, window=window, body=body, geometry=image.geometry, **rest
    )
