"""What a run has seen: the scans and label maps that it learned from, in a few numbers each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from dvcl.datasets.checks import Finding
from dvcl.datasets.checks.grids import grid_findings
from dvcl.datasets.checks.intensities import measure_intensities, unit_findings, value_findings
from dvcl.datasets.dataset import LabelTable, Modality
from dvcl.errors import InputError
from dvcl.preprocessing.body import body_mask, coarse_steps
from dvcl.volume import Geometry, Volume
from dvcl.volume.turning import orient

ORIENTATION = "LPI"  # the array's axes are then the patient's (z, y, x)
BODY_PERCENTILES = {"body_low": 5.0, "body_middle": 50.0, "body_high": 95.0}
SECTION_PERCENTILES = {"section_small": 10.0, "section_middle": 50.0, "section_large": 90.0}
TOUCHING = np.ones((3, 3, 3))  # voxels that share a corner are of one part

Point = tuple[float, float, float]


@dataclass(frozen=True)
class SeenScan:
    """One scan.

    Attributes:
        numbers: By name, those of `dvcl.inference.doubts.QUANTITIES` that are defined for it.
        findings: What the check of a data set warns of.
    """

    numbers: Mapping[str, float]
    findings: tuple[Finding, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        """Of the findings."""
        return tuple(finding.code for finding in self.findings)


@dataclass(frozen=True)
class SeenOrgan:
    """One organ in one label map.

    Attributes:
        volume_ml: Of all its voxels.
        centre_mm: World (x, y, z), RAS+.
        scattered: Share of its volume outside its largest connected part, in [0, 1).
        at_border: Whether it reaches the outermost voxels, and may be cut.
        border_mm: How far it stays away from these; NaN of records of earlier versions.
    """

    volume_ml: float
    centre_mm: Point
    scattered: float
    at_border: bool
    border_mm: float = math.nan


Organs = Mapping[str, SeenOrgan]


@dataclass(frozen=True)
class Seen:
    """All that was looked at of what a run learned from.

    Attributes:
        modality: Of the run.
        of: Cases that it learned from.
        numbers: Of each scan that was looked at.
        codes: For each check finding, how many of these scans it was made of.
        organs: Of each label map that was looked at.
        one_part: Organs that are in one part in every label map that the run learned from; None in
            records of earlier versions, which did not look.
    """

    modality: Modality
    of: int
    numbers: tuple[Mapping[str, float], ...]
    codes: Mapping[str, int]
    organs: tuple[Organs, ...]
    one_part: tuple[str, ...] | None = None

    @cached_property
    def usual_codes(self) -> set[str]:
        """Findings about most scans: such data were learned from, so they are no news."""
        return {code for code, count in self.codes.items() if 2 * count > len(self.numbers)}

    def values(self, name: str) -> list[float]:
        """One number of all scans that have it."""
        return [numbers[name] for numbers in self.numbers if name in numbers]

    def of_organ(self, name: str) -> list[SeenOrgan]:
        """One organ in all label maps that show it."""
        return [organs[name] for organs in self.organs if name in organs]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "modality": self.modality,
            "of": self.of,
            "codes": dict(self.codes),
            "scans": [dict(numbers) for numbers in self.numbers],
            "label_maps": [organs_json(organs) for organs in self.organs],
            **({} if self.one_part is None else {"one_part": list(self.one_part)}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Seen:
        """Inverse of `to_json`."""
        return cls(
            value["modality"],
            value["of"],
            tuple(value["scans"]),
            value["codes"],
            tuple(
                {
                    name: SeenOrgan(**{**organ, "centre_mm": tuple(organ["centre_mm"])})
                    for name, organ in organs.items()
                }
                for organs in value["label_maps"]
            ),
            tuple(value["one_part"]) if "one_part" in value else None,
        )


def gather(
    modality: Modality,
    of: int,
    scans: list[SeenScan],
    label_maps: list[Organs],
    one_part: tuple[str, ...] | None = None,
) -> Seen:
    """What a run has seen, of all its scans and label maps that were looked at."""
    codes = Counter(code for scan in scans for code in set(scan.codes))
    numbers = tuple(scan.numbers for scan in scans)
    return Seen(modality, of, numbers, codes, tuple(label_maps), one_part)


def organs_json(organs: Organs) -> dict[str, Any]:
    """Plain values."""
    return {name: asdict(organ) for name, organ in organs.items()}


def look_at_scan(path: Path, image: Volume, modality: Modality) -> SeenScan:
    """Describe a scan.

    Args:
        path: Of the file, for its header and the findings.
        image: As read from it.
        modality: That it is said to have.

    Raises:
        InputError: When voxels are not finite or all equal, or axes not at right angles.
    """
    findings = [*grid_findings(path, image.geometry), *value_findings(path, image.array)]
    if errors := [finding.problem for finding in findings if finding.severity == "error"]:
        raise InputError(errors)
    found = measure_intensities(image.array)
    findings += unit_findings(path, found, modality)
    turned = orient(image, ORIENTATION)
    numbers = _lengths("spacing", turned.spacing_mm)
    numbers |= _lengths("field", map(math.prod, zip(turned.shape, turned.spacing_mm, strict=True)))
    numbers |= _body_numbers(turned, modality)
    if modality == "CT":
        numbers["tissue"] = found.tissue
    told = tuple(finding for finding in findings if finding.severity == "warning")
    return SeenScan({name: x for name, x in numbers.items() if math.isfinite(x)}, told)


def _lengths(name: str, lengths: Any) -> dict[str, float]:
    return {f"{name}_{axis}": float(mm) for axis, mm in zip("zyx", lengths, strict=True)}


def _body_numbers(turned: Volume, modality: Modality) -> dict[str, float]:
    """Areas of the body's axial sections in cm²; and of a CT the intensities inside it."""
    steps = coarse_steps(turned)
    coarse = turned.array[steps]
    body = body_mask(coarse, modality)
    _, height_mm, width_mm = (
        mm * (step.step or 1) for mm, step in zip(turned.spacing_mm, steps, strict=True)
    )
    areas = body.sum(axis=(1, 2)) * height_mm * width_mm / 100
    numbers = {
        name: float(np.percentile(areas[areas > 0], share))
        for name, share in SECTION_PERCENTILES.items()
    }
    if modality == "CT":
        inside = np.percentile(coarse[body], list(BODY_PERCENTILES.values()))
        numbers |= dict(zip(BODY_PERCENTILES, inside.tolist(), strict=True))
    return numbers


def look_at_organs(classes: np.ndarray, grid: Geometry, labels: LabelTable) -> Organs:
    """Describe every organ that a label map shows.

    Args:
        classes: uint8 (D, H, W) class indices.
        grid: Of the label map.
        labels: Names of the classes.
    """
    boxes = ndimage.find_objects(classes, labels.classes - 1)
    found = enumerate(zip(labels.organs, boxes, strict=True), start=1)
    return {
        name: _look_at_organ(classes[box] == index, box, grid)
        for index, (name, box) in found
        if box is not None
    }


def _look_at_organ(mask: np.ndarray, box: tuple[slice, ...], grid: Geometry) -> SeenOrgan:
    parts, _ = ndimage.label(mask, TOUCHING)
    sizes = np.bincount(parts.ravel())[1:]
    voxels = int(sizes.sum())
    places = [index.mean() + axis.start for index, axis in zip(mask.nonzero(), box, strict=True)]
    x, y, z = (grid.affine[:3, :3] @ places[::-1] + grid.affine[:3, 3]).tolist()
    sides = zip(box, grid.shape, grid.spacing_mm, strict=True)
    border_mm = min(min(axis.start, size - axis.stop) * mm for axis, size, mm in sides)
    return SeenOrgan(
        voxels * math.prod(grid.spacing_mm) / 1000,
        (x, y, z),
        1 - float(sizes.max() / voxels),
        border_mm == 0,
        border_mm,
    )
