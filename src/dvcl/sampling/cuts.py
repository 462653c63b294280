"""Patches that are drawn first and copied later, into the batch itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dvcl.sampling.intensity import Intensity
from dvcl.sampling.patches import Start, copy_patch, copy_scaled_patch, is_padded
from dvcl.sampling.warp import Fill, copy_warped
from dvcl.store import StoredCase


@dataclass(frozen=True)
class Cut:
    """One patch, drawn but not copied yet.

    Attributes:
        case: Where it is cut from.
        start: Its first voxel, see `sampling.patches`.
        flips: Axes that are reversed.
        warp: Turn and size, see `draw_warp`; None for neither.
        intensity: Change of the intensities, None for none.
    """

    case: StoredCase
    start: Start
    flips: tuple[int, ...]
    warp: np.ndarray | None = None
    intensity: Intensity | None = None


# Patches are written into the batch itself, through reversed views where an axis is flipped: copies
# on the way would take longer than the reading.


def copy_image(cut: Cut, pixels: np.ndarray) -> None:
    """Fill ``pixels`` (d, h, w) float32 with the normalised, changed image of a patch."""
    case = cut.case

    def fill(start: Start, target: np.ndarray) -> None:
        if is_padded(case.image.shape, start, target.shape):
            # Padding is the lower end of the window (air), which is 0 after normalisation.
            target.fill(0)
        copy_scaled_patch(case.image, start, target, case.scale, case.offset)

    _copy(cut, fill, pixels)
    if cut.intensity:
        cut.intensity.apply(pixels)


def copy_label(cut: Cut, classes: np.ndarray) -> None:
    """Fill ``classes`` (d, h, w) uint8 with the labels of a patch."""
    label = cut.case.label
    assert label is not None, f"{cut.case.id} was given as a labelled case"

    def fill(start: Start, target: np.ndarray) -> None:
        if is_padded(label.shape, start, target.shape):
            target.fill(0)
        copy_patch(label, start, target)

    _copy(cut, fill, classes)


def _copy(cut: Cut, fill: Fill, target: np.ndarray) -> None:
    flipped = np.flip(target, cut.flips)
    if cut.warp is None:
        fill(cut.start, flipped)
    else:
        copy_warped(fill, cut.start, cut.warp, flipped)
