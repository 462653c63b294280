"""Overlay sheets: organs over axial, coronal and sagittal slices, reference by predictions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dvcl.datasets.dataset import LabelTable, Modality
from dvcl.datasets.organs import organ_colour
from dvcl.report.panels import PLANES, lay_out
from dvcl.report.shown import REFERENCE, richest_slices, show_case
from dvcl.volume import Volume


def overlay_sheet(
    image: Volume,
    reference: Volume | None,
    predictions: Mapping[str, Volume],
    labels: LabelTable,
    modality: Modality = "CT",
) -> Figure:
    """Draw one case: a row per plane, a column for the reference and for every prediction.

    Each plane is cut where the reference (without one, the first prediction) shows most of all
    organs together, small ones counting as much as large ones. Over the predictions, thin white
    lines outline the reference. Slices keep their proportions in mm, are shown in radiological
    convention whatever the file's orientation, and are cropped to all drawn organs and 30 mm
    around them.

    Args:
        image: CT in HU, or MR in any unit.
        reference: Label integers as in ``labels``; None where there is no reference.
        predictions: Label integers by the name that stands above the column.
        labels: The meaning of the integers; fixes every organ's colour.
        modality: CT is windowed to -160..240 HU, MR to its 0.5 and 99.5 percentiles.

    Raises:
        InputError: When a volume lies on another grid or holds unknown integers.
    """
    named = ({REFERENCE: reference} if reference else {}) | dict(predictions)
    shown = show_case(image, named, labels, modality)
    columns = shown.classes or {"Image": np.zeros(shown.pixels.shape, np.uint8)}
    figure, panels = lay_out(shown.pixels.shape, shown.spacing_mm, list(columns), labels.organs)
    first = next(iter(columns.values()))
    cut = richest_slices(first)
    for classes, column in zip(columns.values(), panels.T, strict=True):
        for plane, axes in zip(PLANES, column, strict=True):
            draw_slice(axes, np.take(shown.pixels, cut[plane.axis], plane.axis), shown.window)
            draw_organs(axes, np.take(classes, cut[plane.axis], plane.axis))
            if reference and classes is not first:
                outline_organs(axes, np.take(first, cut[plane.axis], plane.axis))
    return figure


def draw_slice(axes: Axes, pixels: np.ndarray, window: Sequence[float]) -> None:
    """Fill a panel with a slice (rows, columns) in grey."""
    extent = (*axes.get_xlim(), *axes.get_ylim())
    low, high = window
    axes.imshow(pixels, cmap="gray", vmin=low, vmax=high, extent=extent, interpolation="bilinear")


def draw_organs(axes: Axes, classes: np.ndarray) -> None:
    """Fill every organ of a slice lightly and outline it."""
    for index, x, y, mask in _masks(axes, classes):
        colour = organ_colour(index)
        axes.contourf(x, y, mask, levels=(0.5, 1.5), colors=[colour], alpha=0.35)
        axes.contour(x, y, mask, levels=(0.5,), colors=[colour], linewidths=1.1)


def outline_organs(axes: Axes, classes: np.ndarray) -> None:
    """Draw the organs of the reference as thin lines, so that every error shows."""
    for _, x, y, mask in _masks(axes, classes):
        axes.contour(x, y, mask, levels=(0.5,), colors=["#ffffff"], linewidths=0.6)


def _masks(
    axes: Axes, classes: np.ndarray
) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    """Every organ of a slice: class, positions of columns and rows in mm, and its mask."""
    # A frame of background closes the outlines of organs that touch the edge.
    padded = np.pad(classes, 1)
    rows, columns = padded.shape
    x = (np.arange(columns) - 0.5) * axes.get_xlim()[1] / (columns - 2)
    y = (np.arange(rows) - 0.5) * axes.get_ylim()[0] / (rows - 2)
    for index in np.unique(classes[classes > 0]):
        yield int(index), x, y, padded == index
