"""One case as methods see it: three transverse sections and all organs in space (DVCL, Fig. 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dvcl.datasets.dataset import LabelTable, Modality
from dvcl.report.figures import QUIET
from dvcl.report.overlays import draw_organs, draw_slice, outline_organs
from dvcl.report.panels import (
    GAP_IN,
    LEGEND_ROW_IN,
    PLANES,
    add_legend,
    annotate,
    legend_shape,
    scale_bar_mm,
)
from dvcl.report.shown import REFERENCE, show_case
from dvcl.report.surface_view import Camera, camera_for, surface_view
from dvcl.volume import Volume

SECTIONS = 3
# So many places are tried; two sections are at least a sixth of the organs' length apart.
CANDIDATES, LEAST_SHARE = 25, 6
SHEET_IN, TALLEST_IN, LARGEST_PANEL_IN, MARGIN_MM = 8.8, 9.5, 2.9, 15.0
INK, TITLE_IN, LETTER_IN = "#1d2126", 0.46, 0.26


def case_sheet(
    image: Volume,
    reference: Volume,
    predictions: Mapping[str, Volume],
    labels: LabelTable,
    modality: Modality = "CT",
) -> Figure:
    """Draw a column for the reference and for every prediction, with what they show in the rows.

    Rows (a) to (c) are transverse sections, chosen on the reference so that together they show
    most of every organ; thin white lines outline the reference. The last row shows all organs from
    the front. All columns have one scale and one camera.

    Args:
        image: CT in HU, or MR in any unit.
        reference: Label integers as in ``labels``, as for `overlay_sheet`.
        predictions: Label integers by the name above the column, a second line of it in grey.
        labels: Fixes every organ's colour.
        modality: As for `overlay_sheet`.

    Raises:
        InputError: When a volume lies on another grid or holds unknown integers.
    """
    shown = show_case(
        image, {REFERENCE: reference} | dict(predictions), labels, modality, MARGIN_MM
    )
    organs = np.zeros(shown.pixels.shape, bool)
    for classes in shown.classes.values():
        organs |= classes > 0
    camera = camera_for(organs, shown.spacing_mm)
    first = shown.classes[REFERENCE]
    cuts = best_sections(first)
    _, down, across = (n * mm for n, mm in zip(first.shape, shown.spacing_mm, strict=True))
    figure, panels = _lay_out((down, across), len(cuts), camera, list(shown.classes), labels.organs)
    for classes, column in zip(shown.classes.values(), panels.T, strict=True):
        for cut, axes in zip(cuts, column, strict=False):
            draw_slice(axes, shown.pixels[cut], shown.window)
            draw_organs(axes, classes[cut])
            if classes is not first:
                outline_organs(axes, first[cut])
        column[-1].imshow(surface_view(classes, shown.spacing_mm, camera), interpolation="lanczos")
    annotate(panels[0, 0], PLANES[0], scale_bar_mm(min(down, across)))
    return figure


def best_sections(classes: np.ndarray) -> list[int]:
    """The three slices along the first axis that together show most of every organ, in order.

    An organ counts by its largest area in one of them, as a share of its largest area anywhere, so
    that small organs count as much as large ones. There are fewer where the organs take up less.
    """
    classes = classes if classes.any() else np.ones_like(classes)
    areas = np.array(
        [
            np.count_nonzero(classes == index, axis=(1, 2))
            for index in np.unique(classes[classes > 0])
        ]
    )
    filled = np.flatnonzero(areas.any(axis=0))
    apart = (filled[-1] - filled[0]) / LEAST_SHARE
    places = np.unique(np.linspace(filled[0], filled[-1], CANDIDATES).round().astype(int))
    shares = areas / areas.max(axis=1, keepdims=True)
    choices = [
        choice
        for choice in combinations(places.tolist(), min(SECTIONS, len(places)))
        if all(after - before >= apart for before, after in pairwise(choice))
    ]
    # The mean decides between choices that show the same organs: none may be spent on an edge.
    shown = [shares[:, choice].max(axis=1) + shares[:, choice].mean(axis=1) for choice in choices]
    return list(choices[int(np.argmax(np.sum(shown, axis=1)))])


def _lay_out(
    section_mm: tuple[float, float],
    sections: int,
    camera: Camera,
    names: Sequence[str],
    organs: Sequence[str],
) -> tuple[Figure, np.ndarray]:
    """The figure and its axes (row, column); those of sections in mm, as in `panels.lay_out`."""
    columns, (down, across) = len(names), section_mm
    relative = np.array([down / across] * sections + [camera.shape[0] / camera.shape[1]])
    panel = min(LARGEST_PANEL_IN, SHEET_IN / columns, TALLEST_IN / relative.sum())
    heights = (panel * relative).tolist()
    width = LETTER_IN + columns * (panel + GAP_IN)
    rows, legend_columns = legend_shape(organs, width)
    foot = LEGEND_ROW_IN * rows + 3 * GAP_IN
    height = TITLE_IN + sum(heights) + GAP_IN * sections + foot
    figure = Figure((width, height), facecolor="white")
    panels = figure.subplots(
        sections + 1, columns, squeeze=False, height_ratios=heights,
        gridspec_kw={
            "left": LETTER_IN / width, "right": 1 - GAP_IN / width,
            "top": 1 - TITLE_IN / height, "bottom": foot / height,
            "wspace": GAP_IN / panel, "hspace": GAP_IN / (sum(heights) / len(heights)),
        },
    )  # fmt: skip
    for letter, row in zip("abcd", panels, strict=False):
        _letter(row[0], letter)
    for axes in panels.flat:
        axes.set_axis_off()
    for axes in panels[:-1].flat:
        axes.set(xlim=(0, across), ylim=(down, 0), aspect="equal")
    for name, axes in zip(names, panels[0], strict=True):
        _title(axes, name, panel)
    panels[-1, 0].text(
        0, 0, "from the front", transform=panels[-1, 0].transAxes, size=7.5, color=QUIET
    )
    add_legend(figure, organs, legend_columns, INK)
    return figure, panels


def _letter(axes: Axes, letter: str) -> None:
    axes.annotate(
        f"({letter})", (0, 0.5), (-4, 0), xycoords="axes fraction", textcoords="offset points",
        ha="right", va="center", size=9, color=INK,
    )  # fmt: skip


def _title(axes: Axes, name: str, panel_in: float) -> None:
    """The name in bold, the second line quieter; long names are set smaller."""
    title, _, second = name.partition("\n")
    size = min(10.5, 115 * panel_in / max(1, len(title)))
    bold: dict[str, Any] = {"size": size, "weight": "bold", "color": INK}
    quiet: dict[str, Any] = {"size": 9, "color": QUIET}
    for text, level, style in ((title, 17, bold), (second, 5, quiet)):
        axes.annotate(
            text, (0.5, 1), (0, level if second else 8), xycoords="axes fraction",
            textcoords="offset points", ha="center", va="baseline", **style,
        )  # fmt: skip
