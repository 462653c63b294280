"""Overlay sheets: organs over axial, coronal and sagittal slices, reference by predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import AbstractPathEffect, withStroke

from dvcl.datasets.dataset import LabelTable, Modality
from dvcl.evaluation.cases import check_same_grid
from dvcl.preprocessing.geometry import orient
from dvcl.report.figures import organ_colour
from dvcl.volume import Volume

# Left, posterior and inferior grow along x, y and z: drawn with the first row on top, this shows
# the patient's right on the left of the picture, anterior and superior up.
DISPLAY_ORIENTATION = "LPI"

SOFT_TISSUE_HU = (-160.0, 240.0)
MR_PERCENTILES = (0.5, 99.5)
MARGIN_MM = 30.0

# The longest bar that takes at most half of the panel's width.
SCALE_BARS_MM = (50, 10, 1)

PANEL_IN, GAP_IN, TITLE_IN, LEGEND_ROW_IN, LETTER_IN = 3.0, 0.06, 0.34, 0.21, 0.066
BACKGROUND, INK = "#000000", "#f2f2f2"
# Keeps letters legible over bone.
OUTLINE: list[AbstractPathEffect] = [withStroke(linewidth=2.2, foreground=BACKGROUND)]


@dataclass(frozen=True)
class _Plane:
    """A cut at right angles to one array axis, with the letters at its left and upper edge."""

    name: str
    axis: int
    left: str
    top: str


PLANES = (
    _Plane("Axial", 0, "R", "A"),
    _Plane("Coronal", 1, "R", "S"),
    _Plane("Sagittal", 2, "A", "S"),
)


def overlay_sheet(
    image: Volume,
    reference: Volume | None,
    predictions: Mapping[str, Volume],
    labels: LabelTable,
    modality: Modality = "CT",
) -> Figure:
    """Draw one case: a row per plane, a column for the reference and for every prediction.

    Each plane is cut where the reference (without one, the first prediction) has most organ
    voxels. Slices keep their proportions in mm, are shown in radiological convention whatever the
    file's orientation, and are cropped to all drawn organs and 30 mm around them.

    Args:
        image: CT in HU, or MR in any unit.
        reference: Label integers as in ``labels``; None where there is no reference.
        predictions: Label integers by the name that stands above the column.
        labels: The meaning of the integers; fixes every organ's colour.
        modality: CT is windowed to -160..240 HU, MR to its 0.5 and 99.5 percentiles.

    Raises:
        InputError: When a volume lies on another grid or holds unknown integers.
    """
    named = ({"Reference": reference} if reference else {}) | dict(predictions)
    columns = {name: _displayed(name, volume, image, labels) for name, volume in named.items()}
    shown = orient(image, DISPLAY_ORIENTATION)
    columns = columns or {"Image": np.zeros(shown.shape, np.uint8)}
    box = _box(np.any([classes > 0 for classes in columns.values()], axis=0), shown.spacing_mm)
    columns = {name: classes[box] for name, classes in columns.items()}
    window = SOFT_TISSUE_HU if modality == "CT" else np.percentile(shown.array, MR_PERCENTILES)
    cropped = shown.array[box].clip(*window)

    figure, panels = _layout(cropped.shape, shown.spacing_mm, len(columns), labels.organs)
    cut = _richest_slices(next(iter(columns.values())))
    for (name, classes), column in zip(columns.items(), panels.T, strict=True):
        column[0].set_title(name, color=INK, size=10.5, weight="bold", pad=7)
        for plane, axes in zip(PLANES, column, strict=True):
            _draw_slice(axes, np.take(cropped, cut[plane.axis], plane.axis), window)
            _draw_organs(axes, np.take(classes, cut[plane.axis], plane.axis))
    for plane, axes in zip(PLANES, panels[:, 0], strict=True):
        _annotate(axes, plane)
    return figure


def _displayed(name: str, volume: Volume, image: Volume, labels: LabelTable) -> np.ndarray:
    """Class indices in display orientation."""
    check_same_grid(name, volume.geometry, "the image", image.geometry)
    classes = labels.encode(volume.array, name)
    return orient(Volume(classes, volume.affine), DISPLAY_ORIENTATION).array


def _box(organs: np.ndarray, spacing_mm: Sequence[float]) -> tuple[slice, ...]:
    """Bounding box of a mask with a margin, within the volume; all of it for an empty mask."""
    box = []
    for axis, step in enumerate(spacing_mm):
        filled = np.flatnonzero(organs.any(axis=_others(axis)))
        margin = round(MARGIN_MM / step)
        start, stop = (filled[0], filled[-1] + 1) if filled.size else (0, organs.shape[axis])
        box.append(slice(max(0, int(start) - margin), int(stop) + margin))
    return tuple(box)


def _richest_slices(classes: np.ndarray) -> list[int]:
    """Per axis, the slice with most organ voxels; the middle one where there is no organ."""
    organs = classes > 0
    if not organs.any():
        return [size // 2 for size in classes.shape]
    return [int(organs.sum(axis=_others(axis)).argmax()) for axis in range(3)]


def _others(axis: int) -> tuple[int, ...]:
    return tuple({0, 1, 2} - {axis})


def _layout(
    shape: Sequence[int], spacing_mm: Sequence[float], columns: int, organs: Sequence[str]
) -> tuple[Figure, np.ndarray]:
    """A figure whose panels (plane, column) have the proportions of their slices, at one scale."""
    depth, height, width = (size * step for size, step in zip(shape, spacing_mm, strict=True))
    inch = PANEL_IN / max(width, height)
    heights = [height * inch, depth * inch, depth * inch]
    across = columns * (PANEL_IN + GAP_IN) + GAP_IN
    legend_rows, legend_columns = _legend_shape(organs, across)
    legend_in = LEGEND_ROW_IN * legend_rows + 2 * GAP_IN
    size = (across, TITLE_IN + sum(heights) + 2 * GAP_IN + legend_in)
    figure = Figure(size, facecolor=BACKGROUND)
    panels = figure.subplots(
        len(PLANES),
        columns,
        squeeze=False,
        height_ratios=heights,
        gridspec_kw={
            "left": GAP_IN / size[0],
            "right": 1 - GAP_IN / size[0],
            "top": 1 - TITLE_IN / size[1],
            "bottom": legend_in / size[1],
            "wspace": GAP_IN / PANEL_IN,
            "hspace": GAP_IN / (sum(heights) / len(heights)),
        },
    )
    for plane, row in zip(PLANES, panels, strict=True):
        down, across = np.delete((depth, height, width), plane.axis)
        for axes in row:
            axes.set(xlim=(0, across), ylim=(down, 0), aspect="equal")
            axes.set_axis_off()
    _add_legend(figure, organs, legend_columns)
    return figure, panels


def _legend_shape(organs: Sequence[str], across: float) -> tuple[int, int]:
    """Rows and columns that fit into a width of ``across`` inches, the rows evenly filled."""
    entry_in = 0.42 + LETTER_IN * max(map(len, organs))
    rows = math.ceil(len(organs) / max(1, int(across / entry_in)))
    return rows, math.ceil(len(organs) / rows)


def _add_legend(figure: Figure, organs: Sequence[str], columns: int) -> None:
    figure.legend(
        handles=[
            Patch(color=organ_colour(index), label=organ)
            for index, organ in enumerate(organs, start=1)
        ],
        loc="lower center",
        ncols=columns,
        frameon=False,
        fontsize=8.5,
        labelcolor=INK,
        handlelength=1.0,
        handleheight=1.0,
        columnspacing=1.6,
        borderpad=0.3,
    )


def _draw_slice(axes: Axes, pixels: np.ndarray, window: Sequence[float]) -> None:
    extent = (*axes.get_xlim(), *axes.get_ylim())
    low, high = window
    axes.imshow(pixels, cmap="gray", vmin=low, vmax=high, extent=extent, interpolation="bilinear")


def _draw_organs(axes: Axes, classes: np.ndarray) -> None:
    """Fill every organ of a slice lightly and outline it."""
    # A frame of background closes the outlines of organs that touch the edge.
    padded = np.pad(classes, 1)
    rows, columns = padded.shape
    x = (np.arange(columns) - 0.5) * axes.get_xlim()[1] / (columns - 2)
    y = (np.arange(rows) - 0.5) * axes.get_ylim()[0] / (rows - 2)
    for index in np.unique(classes[classes > 0]):
        mask, colour = padded == index, organ_colour(int(index))
        axes.contourf(x, y, mask, levels=(0.5, 1.5), colors=[colour], alpha=0.35)
        axes.contour(x, y, mask, levels=(0.5,), colors=[colour], linewidths=1.1)


def _annotate(axes: Axes, plane: _Plane) -> None:
    """Name the plane, mark directions, and draw a scale bar."""
    width, height = axes.get_xlim()[1], axes.get_ylim()[0]
    end, level = 0.97 * width, 0.96 * height
    bar_mm = next((bar for bar in SCALE_BARS_MM if bar <= width / 2), SCALE_BARS_MM[-1])
    for x, y, text, across, along in (
        (0.02 * width, 0.02 * height, plane.name, "left", "top"),
        (0.02 * width, 0.5 * height, plane.left, "left", "center"),
        (0.5 * width, 0.02 * height, plane.top, "center", "top"),
        (end, level - 0.02 * height, f"{bar_mm} mm", "right", "bottom"),
    ):
        note = axes.text(x, y, text, ha=across, va=along, size=8, color=INK)
        note.set_path_effects(OUTLINE)
    (bar,) = axes.plot((end - bar_mm, end), (level, level), color=INK, linewidth=1.6)
    bar.set_path_effects(OUTLINE)
