"""Tiles of a montage: one case small, with what is odd about it among the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.colors import to_rgb

from dvcl.datasets.dataset import Role
from dvcl.datasets.organs import organ_colour
from dvcl.report.panels import PLANES
from dvcl.report.scan import Lengths, Scan

MOST_PIXELS = 220  # along a side of a pane; more would not be seen
SHOWN_AXES = (1, 0)  # coronal and axial: together they show every flip
TINT = 0.5

# How much a scan may differ from the median one before it is marked.
ODD_SPACING, ODD_FIELD = 2.0, 2.5
ODD_HU = 250.0


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
        spacing_mm: (z, y, x); None for a case that cannot be read.
        field_mm: Likewise.
        median: Intensity inside the body.
        unit: Of the intensity.
    """

    id: str
    role: Role | None
    panes: tuple[Pane, ...]
    caption: str
    problems: tuple[str, ...] = ()
    spacing_mm: Lengths | None = None
    field_mm: Lengths | None = None
    median: float = 0.0
    unit: str = ""


def tile_of(scan: Scan) -> Tile:
    """Cut a scan as in `contact_sheet`, keeping no more than the tile's pixels."""
    spacing, shape = scan.image.spacing_mm, scan.image.shape
    depth, height, width = (n * mm for n, mm in zip(shape, spacing, strict=True))
    size = " x ".join(map(str, shape))
    return Tile(
        scan.id,
        scan.role,
        _panes(scan),
        f"{_by(spacing)} mm, {size}, {scan.geometry.orientation}",
        tuple(scan.problems),
        spacing,
        (depth, height, width),
        float(np.median(scan.coarse[scan.body])),
        scan.unit,
    )


def failed_tile(case_id: str, role: Role | None, problem: str) -> Tile:
    """The place of a case that cannot be shown."""
    return Tile(case_id, role, (), "cannot be shown", (problem,))


def mark_odd(tiles: Sequence[Tile]) -> list[Tile]:
    """Add what sets a case apart from most others: spacing, field of view, level of intensity.

    Orientations may differ, and no median is taken of fewer than four cases.
    """
    shown = [tile for tile in tiles if tile.spacing_mm and tile.field_mm]
    if len(shown) < 4:
        return list(tiles)
    spacing = np.median([tile.spacing_mm for tile in shown if tile.spacing_mm], axis=0)
    field = np.median([tile.field_mm for tile in shown if tile.field_mm], axis=0)
    level = float(np.median([tile.median for tile in shown]))
    return [_marked(tile, spacing, field, level) for tile in tiles]


def _marked(tile: Tile, spacing: np.ndarray, field: np.ndarray, level: float) -> Tile:
    if tile.spacing_mm is None or tile.field_mm is None:
        return tile
    found = list(tile.problems)
    for what, values, usual, factor in (
        ("spacing", tile.spacing_mm, spacing, ODD_SPACING),
        ("field of view", tile.field_mm, field, ODD_FIELD),
    ):
        ratios = np.array(values) / usual
        if ratios.max() > factor or ratios.min() < 1 / factor:
            found.append(f"{what} {_by(values)} mm, most have {_by(usual)}")
    if tile.unit == "HU" and abs(tile.median - level) > ODD_HU:
        found.append(f"median {tile.median:.0f} HU in the body, most have {level:.0f}")
    return replace(tile, problems=tuple(found))


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
