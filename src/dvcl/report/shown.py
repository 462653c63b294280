"""A case as it is shown: turned to the reader, cropped to its organs, its intensities windowed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dvcl.datasets.dataset import LabelTable, Modality
from dvcl.evaluation.cases import check_same_grid
from dvcl.volume import Volume
from dvcl.volume.turning import orient

# Left, posterior and inferior grow along x, y and z: drawn with the first row on top, this shows
# the patient's right on the left of the picture, anterior and superior up.
DISPLAY_ORIENTATION = "LPI"

SOFT_TISSUE_HU = (-160.0, 240.0)
MR_PERCENTILES = (0.5, 99.5)
MARGIN_MM = 30.0
REFERENCE = "Reference"  # the name of its column

Box = tuple[slice, ...]


@dataclass(frozen=True)
class Shown:
    """A case turned to the reader and cropped to its organs.

    Attributes:
        image: In display orientation.
        classes: uint8 class indices on the same voxels, by the name of the label map.
        window: Intensities shown from black to white.
        box: The voxels in display orientation that are left.
    """

    image: Volume
    classes: dict[str, np.ndarray]
    window: tuple[float, float]
    box: Box

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """(z, y, x)."""
        return self.image.spacing_mm

    @cached_property
    def pixels(self) -> np.ndarray:
        """(D, H, W) intensities, clipped to the window."""
        return self.image.array.clip(*self.window)


def show_case(
    image: Volume,
    named: Mapping[str, Volume],
    labels: LabelTable,
    modality: Modality,
    margin_mm: float = MARGIN_MM,
) -> Shown:
    """Turn a case to the reader, and crop it to all organs of all label maps with a margin.

    Raises:
        InputError: When a label map lies on another grid or holds unknown integers.
    """
    columns = {name: _displayed(name, volume, image, labels) for name, volume in named.items()}
    turned = orient(image, DISPLAY_ORIENTATION)
    organs = np.zeros(turned.shape, bool)
    for classes in columns.values():
        organs |= classes > 0
    box = _box(organs, turned.spacing_mm, margin_mm)
    cropped = {name: classes[box] for name, classes in columns.items()}
    window = SOFT_TISSUE_HU if modality == "CT" else percentile_window(turned.array)
    return Shown(crop(turned, box), cropped, window, box)


def percentile_window(values: np.ndarray) -> tuple[float, float]:
    """What shows most of an MR; never empty, also where all values are one."""
    low, high = (float(value) for value in np.percentile(values, MR_PERCENTILES))
    return (low, high) if low < high else (low, low + 1)


def crop(volume: Volume, box: Box) -> Volume:
    """The voxels of a box, whose slices begin at 0 or behind, at their place in the patient."""
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [side.start for side in reversed(box)]
    return Volume(volume.array[box], affine)


def _displayed(name: str, volume: Volume, image: Volume, labels: LabelTable) -> np.ndarray:
    """Class indices in display orientation."""
    check_same_grid(name, volume.geometry, "the image", image.geometry)
    classes = labels.encode(volume.array, name)
    return orient(Volume(classes, volume.affine), DISPLAY_ORIENTATION).array


def _box(organs: np.ndarray, spacing_mm: Sequence[float], margin_mm: float) -> Box:
    """Bounding box of a mask with a margin, within the volume; all of it for an empty mask."""
    box = []
    for axis, step in enumerate(spacing_mm):
        filled = np.flatnonzero(organs.any(axis=_others(axis)))
        margin = round(margin_mm / step)
        start, stop = (filled[0], filled[-1] + 1) if filled.size else (0, organs.shape[axis])
        box.append(slice(max(0, int(start) - margin), int(stop) + margin))
    return tuple(box)


def richest_slices(classes: np.ndarray) -> list[int]:
    """Per axis, the slice that shows most organs best; the middle one where there is no organ.

    An organ counts by its area there as a share of its largest area in any slice.
    """
    if not classes.any():
        return [size // 2 for size in classes.shape]
    shown = [np.zeros(size) for size in classes.shape]
    for index in np.unique(classes[classes > 0]):
        for axis in range(3):
            area = np.count_nonzero(classes == index, axis=_others(axis))
            shown[axis] += area / area.max()
    return [int(shares.argmax()) for shares in shown]


def _others(axis: int) -> tuple[int, ...]:
    return tuple({0, 1, 2} - {axis})
