"""Tiles of a montage: one case small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import to_rgb

from dvcl.datasets.dataset import Role
from dvcl.datasets.organs import organ_colour
from dvcl.report.panels import PLANES
from dvcl.report.scan import Scan

MOST_PIXELS = 220  # along a side of a pane; more would not be seen
SHOWN_AXES = (1, 0)  # coronal and axial: together they show every flip
TINT = 0.5


@dataclass(frozen=True)
class Pane:
    """One plane of a tile.

    Attributes:
        pixels: (rows, columns, 3) in [0, 1].
        width_mm: Of the plane.
        height_mm: Of the plane.
        top: Letter of its upper edge.
    """

    pixels: np.ndarray
    width_mm: float
    height_mm: float
    top: str


@dataclass(frozen=True)
class Tile:
    """One case.

    Attributes:
        id: Of the case.
        role: Of the case.
        panes: Coronal and axial; none for a case that cannot be read.
        caption: Spacing, size and orientation.
        problems: What should be looked at.
        remedies: What to do about it; a montage has no room for them, a page has.
    """

    id: str
    role: Role | None
    panes: tuple[Pane, ...]
    caption: str
    problems: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()


def tile_of(scan: Scan) -> Tile:
    """Cut a scan as in `contact_sheet`, keeping no more than the tile's pixels."""
    size = " x ".join(map(str, scan.image.shape))
    caption = f"{_by(scan.image.spacing_mm)} mm, {size}, {scan.geometry.orientation}"
    return Tile(scan.id, scan.role, _panes(scan), caption)


def failed_tile(case_id: str, role: Role | None, problem: str) -> Tile:
    """The place of a case that cannot be shown."""
    return Tile(case_id, role, (), "cannot be shown", (problem,))


def _panes(scan: Scan) -> tuple[Pane, ...]:
    spacing_mm, box = scan.image.spacing_mm, scan.box
    low, high = scan.window
    panes = []
    for axis in SHOWN_AXES:
        place, others = scan.cut[axis], [other for other in range(3) if other != axis]
        down, across = (box[other] for other in others)
        pixels = np.take(scan.image.array, place, axis)[down, across]
        step = max(1, -(-max(pixels.shape) // MOST_PIXELS))
        grey = (pixels[::step, ::step].clip(low, high) - low) / (high - low)
        organs = None
        if scan.classes is not None:
            organs = np.take(scan.classes, place, axis)[down, across][::step, ::step]
        height_mm, width_mm = (
            n * spacing_mm[other] for n, other in zip(pixels.shape, others, strict=True)
        )
        panes.append(Pane(blend(grey, organs), width_mm, height_mm, PLANES[axis].top))
    return tuple(panes)


def blend(grey: np.ndarray, classes: np.ndarray | None) -> np.ndarray:
    """Grey pixels (rows, columns) in [0, 1] with the organs' colours over them, as RGB float32."""
    colours = np.repeat(grey[..., None], 3, axis=2).astype(np.float32)
    if classes is not None:
        for index in np.unique(classes[classes > 0]).tolist():
            mask = classes == index
            colours[mask] = (1 - TINT) * colours[mask] + TINT * np.array(
                to_rgb(organ_colour(index)), np.float32
            )
    return colours


def _by(values: Sequence[float] | np.ndarray) -> str:
    return " x ".join(f"{value:.0f}" if value >= 100 else f"{value:.3g}" for value in values)
