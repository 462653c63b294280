"""Inspecting one case: its files are read once, and all findings about them are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nibabel.orientations import io_orientation

from dvcl.datasets.checks.exchanged import image_findings, label_map_findings
from dvcl.datasets.checks.finding import Finding, findings_of_error
from dvcl.datasets.checks.grids import grid_findings, pair_findings
from dvcl.datasets.checks.intensities import (
    Intensities,
    measure_intensities,
    unit_findings,
    value_findings,
)
from dvcl.datasets.checks.labels import (
    OrganPlace,
    alias_findings,
    empty_findings,
    measure_organs,
    rounding_findings,
)
from dvcl.datasets.dataset import Case, Dataset
from dvcl.datasets.masks import has_masks, read_case_label
from dvcl.errors import InputError
from dvcl.leaks.fingerprint import ScanFingerprint, fingerprint_scan
from dvcl.volume import Geometry, Volume, read_volume

Lengths = tuple[float, float, float]


@dataclass(frozen=True)
class CaseReport:
    """What reading one case showed.

    Attributes:
        case: Which.
        findings: About its files.
        geometry: Of the image; None where it could not be read.
        intensities: Of the image; None where they are not finite.
        fingerprint: Likewise, and where it was not asked for.
        organs: Those its label map shows; None where there is none, or it could not be used.
    """

    case: Case
    findings: tuple[Finding, ...]
    geometry: Geometry | None = None
    intensities: Intensities | None = None
    fingerprint: ScanFingerprint | None = None
    organs: Mapping[str, OrganPlace] | None = None

    @property
    def spacing_mm(self) -> Lengths | None:
        """Along the patient's (z, y, x), in mm; None where the image could not be read."""
        if self.geometry is None:
            return None
        return _patient_axes(self.geometry, self.geometry.spacing_mm)

    @property
    def size(self) -> Lengths | None:
        """Voxels along the patient's (z, y, x); None where the image could not be read."""
        return None if self.geometry is None else _patient_axes(self.geometry, self.geometry.shape)


def inspect_case(case: Case, dataset: Dataset, fingerprint: bool = False) -> CaseReport:
    """Read a case and list what is wrong with it; a label of an unlabelled case is not opened.

    Args:
        case: Of ``dataset``.
        dataset: Says what labels mean and what the intensities should be.
        fingerprint: Also take the scan's fingerprint.
    """
    findings: list[Finding] = []
    image = _read_image(case, findings)
    intensities = identity = None
    if image is not None:
        findings += grid_findings(case.image, image.geometry)
        faults = list(value_findings(case.image, image.array))
        findings += faults
        if not faults:
            intensities = measure_intensities(image.array)
            findings += unit_findings(case.image, intensities, dataset.modality)
            identity = fingerprint_scan(image) if fingerprint else None
        if case.role == "unlabelled":
            findings += label_map_findings(case.image, image.array)
    organs = _inspect_label(case, dataset, image, findings)
    return CaseReport(
        case,
        tuple(finding.of_case(case.id) for finding in findings),
        image.geometry if image else None,
        intensities,
        identity,
        organs,
    )


def _read_image(case: Case, findings: list[Finding]) -> Volume | None:
    try:
        return read_volume(case.image)
    except InputError as error:
        findings += findings_of_error("unreadable", error, case.image)
        return None


def _inspect_label(
    case: Case, dataset: Dataset, image: Volume | None, findings: list[Finding]
) -> Mapping[str, OrganPlace] | None:
    if case.role == "unlabelled":
        return None
    if case.label is None:
        if case.role is not None:
            findings.append(_missing_label(case))
        return None
    label = _read_label(case, dataset, findings)
    if label is None:
        return None
    organs = _measure(case.label, label, dataset, findings)
    if not has_masks(case):
        findings += grid_findings(case.label, label.geometry)
        findings += rounding_findings(case)
    if image is not None:
        findings += pair_findings(case.image, image.geometry, case.label, label.geometry)
        findings += image_findings(case.label, label.array, image.array)
    return organs


def _missing_label(case: Case) -> Finding:
    return Finding(
        "no-label",
        str(case.image),
        f"is a {case.role} case without a label file.",
        "Add the label, or use the scan as an unlabelled one.",
    )


def _read_label(case: Case, dataset: Dataset, findings: list[Finding]) -> Volume | None:
    try:
        return read_case_label(case, dataset.labels)
    except InputError as error:
        path = None if has_masks(case) else case.label
        findings += findings_of_error("unreadable", error, path)
        return None


def _measure(
    path: Path, label: Volume, dataset: Dataset, findings: list[Finding]
) -> Mapping[str, OrganPlace] | None:
    try:
        classes = dataset.labels.encode(label.array, path)
    except InputError as error:
        findings += findings_of_error("label-values", error, path)
        return None
    organs = measure_organs(classes, label.geometry, dataset.labels)
    findings += empty_findings(path, organs)
    findings += alias_findings(path, label.array, dataset.labels)
    return organs


def _patient_axes(geometry: Geometry, lengths: Lengths) -> Lengths:
    """Turn values along the file's (z, y, x) to the patient's."""
    turned = [0.0, 0.0, 0.0]
    axes = io_orientation(geometry.affine)[:, 0].astype(int)
    for value, axis in zip(np.array(lengths)[::-1], axes, strict=True):
        turned[2 - axis] = float(value)
    return turned[0], turned[1], turned[2]
