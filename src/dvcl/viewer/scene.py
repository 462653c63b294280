"""One case as the viewer shows it: the scan and its label maps, small enough for a page."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import nibabel
import numpy as np

from dvcl.datasets.dataset import LabelTable, Modality
from dvcl.datasets.organs import organ_colour
from dvcl.report.scan import Scan, Window
from dvcl.report.shown import DISPLAY_ORIENTATION, REFERENCE, crop, richest_slices, show_case
from dvcl.viewer.shrink import shrink_classes, shrink_factors, shrink_image
from dvcl.volume import Volume
from dvcl.volume.turning import orient

# Up to two megabytes of a page.
MOST_VOXELS = 1_500_000
PACKING = 6  # of gzip: 9 takes several times as long, for a hundredth of the size

# Steps of 4 HU: soft tissue has a hundred grey levels, and noise costs no space.
STEP_HU, LOWEST_HU, HIGHEST_HU = 4.0, -1024.0, 3071.0
LEVELS, BRIGHTEST_PERCENTILE = 255, 99.9  # of anything but HU

WINDOWS_HU: Mapping[str, Window] = {
    "soft tissue": (-160, 240),
    "liver": (-30, 170),
    "brain": (0, 80),
    "lung": (-1350, 150),
    "bone": (-450, 1050),
}


@dataclass(frozen=True)
class Scene:
    """What a page holds of one case.

    Attributes:
        title: Of the case, among those of the page.
        content: For viewer.js, as JSON has it.
    """

    title: str
    content: Mapping[str, Any]


def case_scene(
    title: str,
    image: Volume,
    reference: Volume | None,
    predictions: Mapping[str, Volume],
    labels: LabelTable,
    modality: Modality = "CT",
    maps: Mapping[str, Volume] | None = None,
) -> Scene:
    """A case with its reference and its predictions, cropped to the organs of all of them.

    Args:
        title: Of the case.
        image: As in `overlay_sheet`; the following likewise.
        reference: Label integers as in ``labels``; None where there is no reference.
        predictions: Label integers by the name of the map.
        labels: Fixes the organs' names and colours.
        modality: "CT" has window presets in HU.
        maps: Numbers from 0 to 1 on the image's grid, to lay over it: an uncertainty.

    Raises:
        InputError: When a volume lies on another grid or holds unknown integers.
    """
    named = ({REFERENCE: reference} if reference else {}) | dict(predictions)
    shown = show_case(image, named, labels, modality)
    overlaid = {
        name: crop(orient(volume, DISPLAY_ORIENTATION), shown.box)
        for name, volume in (maps or {}).items()
    }
    unit = "HU" if modality == "CT" else ""
    return _scene(title, shown.image, shown.classes, overlaid, labels, shown.window, unit)


def scan_scene(scan: Scan) -> Scene:
    """A scan with its labels, cropped to the body."""
    named = {} if scan.classes is None else {"Labels": scan.classes[scan.box]}
    image = crop(scan.image, scan.box)
    return _scene(scan.id, image, named, {}, scan.labels, scan.window, scan.unit)


def _scene(
    title: str,
    image: Volume,
    classes: Mapping[str, np.ndarray],
    maps: Mapping[str, Volume],
    labels: LabelTable,
    window: Window,
    unit: str,
) -> Scene:
    factors = shrink_factors(image.geometry, MOST_VOXELS)
    small = shrink_image(image, factors)
    voxel_ml = float(np.prod(image.spacing_mm)) / 1000
    content = {
        "image": _packed_image(small, unit),
        "unit": unit,
        "windows": _windows(window, unit),
        "spacing_mm": small.spacing_mm,
        "start_mm": _start_mm(image, classes),
        "organs": [
            {"name": organ, "colour": organ_colour(index)}
            for index, organ in enumerate(labels.organs, start=1)
        ],
        "label_maps": [
            {
                "name": name,
                "is_reference": name == REFERENCE,
                "volumes_ml": (_counts(array, labels) * voxel_ml).round(2).tolist(),
                "data": _nifti(Volume(shrink_classes(array, factors), small.affine)),
            }
            for name, array in classes.items()
        ],
        "maps": [
            {"name": name, "data": _packed(shrink_image(volume, factors), 1 / LEVELS, 0, 1)}
            for name, volume in maps.items()
        ],
    }
    return Scene(title, content)


def _windows(window: Window, unit: str) -> dict[str, Window]:
    """By name, the one that the pictures have first."""
    presets = WINDOWS_HU if unit == "HU" else {}
    as_shown = {} if window in presets.values() else {"as in the pictures": window}
    return {**as_shown, **presets}


def _start_mm(image: Volume, classes: Mapping[str, np.ndarray]) -> list[float]:
    """Where the planes meet at first: on the slices of the pictures."""
    voxel = richest_slices(next(iter(classes.values()), np.zeros(image.shape, np.uint8)))
    place = image.affine @ [*reversed(voxel), 1]
    return [round(float(mm), 2) for mm in place[:3]]


def _counts(classes: np.ndarray, labels: LabelTable) -> np.ndarray:
    return np.bincount(classes.ravel(), minlength=labels.classes)[1:]


def _packed_image(image: Volume, unit: str) -> str:
    if unit == "HU":
        return _packed(image, STEP_HU, LOWEST_HU, HIGHEST_HU)
    low, high = float(image.array.min()), float(np.percentile(image.array, BRIGHTEST_PERCENTILE))
    return _packed(image, (high - low or 1.0) / LEVELS, low, high)


def _packed(volume: Volume, step: float, low: float, high: float) -> str:
    """Values as multiples of a step above the lowest one."""
    steps = ((volume.array.clip(low, high) - low) / step).round()
    kind = np.uint8 if steps.max() <= LEVELS else np.int16
    return _nifti(Volume(steps.astype(kind), volume.affine), step, low)


def _nifti(volume: Volume, slope: float = 1.0, intercept: float = 0.0) -> str:
    """A compressed NIfTI file in base64, the same for the same voxels."""
    image = nibabel.Nifti1Image(volume.array.T, volume.affine)
    image.header.set_slope_inter(slope, intercept)
    image.header.set_xyzt_units("mm")
    return base64.b64encode(gzip.compress(image.to_bytes(), PACKING, mtime=0)).decode("ascii")
