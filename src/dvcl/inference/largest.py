"""Clean-up of a label map: of organs that are in one part, the largest part is kept."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
from scipy import ndimage

from dvcl.datasets.dataset import LabelTable
from dvcl.inference.seen import TOUCHING, Organs


def in_one_part(label_maps: Iterable[Organs], labels: LabelTable) -> tuple[str, ...]:
    """The organs that are in one part in every label map that shows them, and shown in some."""
    every = [*label_maps]
    shown = {name: [organs[name] for organs in every if name in organs] for name in labels.organs}
    return tuple(
        name for name, found in shown.items() if found and not any(o.scattered for o in found)
    )


def keep_largest(
    classes: np.ndarray, organs: Collection[str], labels: LabelTable
) -> dict[str, int]:
    """Make background of all but the largest part of some organs, in place.

    Parts of equal size: the first along the axes stays.

    Args:
        classes: uint8 (D, H, W) class indices.
        organs: Which are cleaned up.
        labels: Names of the classes.

    Returns:
        {organ: voxels that were removed}, of those of which some were.
    """
    removed = {}
    boxes = ndimage.find_objects(classes, labels.classes - 1)
    for index, (name, box) in enumerate(zip(labels.organs, boxes, strict=True), start=1):
        if name not in organs or box is None:
            continue
        around = classes[box]
        parts, count = ndimage.label(around == index, TOUCHING)
        if count > 1:
            largest = 1 + np.bincount(parts.ravel())[1:].argmax()
            others = (parts != 0) & (parts != largest)
            around[others] = 0
            removed[name] = int(np.count_nonzero(others))
    return removed
