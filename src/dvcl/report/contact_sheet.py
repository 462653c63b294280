"""A contact sheet: one scan on one page, with all that a person checks before training on it."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dvcl.datasets.organs import organ_colour
from dvcl.preprocessing.body import coarse_steps
from dvcl.report.overlays import draw_organs, draw_slice
from dvcl.report.panels import (
    BACKGROUND,
    GAP_IN,
    INK,
    LEGEND_ROW_IN,
    PLANES,
    TITLE_IN,
    add_legend,
    annotate,
    legend_shape,
    scale_bar_mm,
)
from dvcl.report.scan import Lengths, Scan

WIDTH_IN, TALLEST_IN = 12.0, 5.6  # of the three planes together
HISTOGRAM_IN, FACTS_IN, AXIS_IN = 1.5, 4.4, 0.95
ORGAN_ROW_IN, MOST_ORGANS_IN = 0.13, 2.6
PROBLEM_LETTERS = 66  # that fit beside the charts
BINS = 160
SHOWN_PERCENTILES = (0.05, 99.95)
INSIDE, OUTSIDE, WINDOW_COLOUR = "#56b4e9", "#9a9a9a", "#f0e442"
MUTED, ALARM = "#b8b8b8", "#ff9d5c"


def contact_sheet(scan: Scan, problems: Sequence[str] = ()) -> Figure:
    """Draw a scan: three planes at one scale, intensities with the window, facts, organs.

    The planes are cut where they show most organs, without labels through the middle of the body,
    are cropped to the body and 15 mm around it, and lie in radiological convention; dotted lines
    say where the other planes are cut. The histogram has voxels inside
    and outside the body on a logarithmic scale; below it every organ has a line from its 5th to
    its 95th percentile with a dot at the median.

    Args:
        scan: To draw.
        problems: What should be looked at, a line each.
    """
    volumes = scan.volumes_ml
    names = [f"{name} {_ml(ml)}" for name, ml in volumes.items()]
    present = [index for index, ml in enumerate(volumes.values(), start=1) if ml]
    shown = scan.image.array[scan.box]
    planes_in = _plane_sizes(shown.shape, scan.image.spacing_mm)
    row_in = max(height for _, height in planes_in)
    organs_in = min(ORGAN_ROW_IN * len(present), MOST_ORGANS_IN)
    legend_rows, legend_columns = legend_shape(names, WIDTH_IN) if names else (0, 1)
    legend_in = LEGEND_ROW_IN * legend_rows + GAP_IN
    chart_in = HISTOGRAM_IN + organs_in + AXIS_IN
    height = TITLE_IN + row_in + chart_in + legend_in
    figure = Figure((WIDTH_IN, height), facecolor=BACKGROUND)
    figure.text(
        GAP_IN / WIDTH_IN, 1 - 0.5 * TITLE_IN / height, scan.name, color=INK, size=12,
        weight="bold", va="center",
    )  # fmt: skip
    _draw_planes(figure, scan, planes_in)
    base = legend_in + 0.45
    chart_width = WIDTH_IN - FACTS_IN
    histogram = _axes(figure, 0.5, base + organs_in, chart_width - 0.6, HISTOGRAM_IN)
    edges = _draw_histogram(histogram, scan)
    last = histogram
    if present:
        last = _axes(figure, 0.5, base, chart_width - 0.6, organs_in)
        _draw_organ_ranges(last, scan, present)
        histogram.tick_params(labelbottom=False)
    for axes in (histogram, last):
        axes.set_xlim(*edges)
    last.set_xlabel(f"intensity{f', {scan.unit}' if scan.unit else ''}", color=MUTED, size=8)
    _write_facts(figure, scan, problems, chart_width, legend_in + chart_in - 0.12, height)
    if names:
        add_legend(figure, names, legend_columns)
    return figure


def _plane_sizes(shape: Sequence[int], spacing_mm: Lengths) -> list[tuple[float, float]]:
    """Width and height of (axial, coronal, sagittal) in inches, all at one scale."""
    depth, height, width = (n * mm for n, mm in zip(shape, spacing_mm, strict=True))
    free = WIDTH_IN - 4 * GAP_IN
    scale = min(free / (2 * width + height), TALLEST_IN / max(height, depth))
    sizes = ((width, height), (width, depth), (height, depth))
    return [(across * scale, down * scale) for across, down in sizes]


def _draw_planes(figure: Figure, scan: Scan, sizes: Sequence[tuple[float, float]]) -> None:
    spacing_mm, box = scan.image.spacing_mm, scan.box
    array = scan.image.array[box]
    classes = None if scan.classes is None else scan.classes[box]
    cut = [place - side.start for place, side in zip(scan.cut, box, strict=True)]
    extents = [n * mm for n, mm in zip(array.shape, spacing_mm, strict=True)]
    bar_mm = scale_bar_mm(min(extents[1:]))
    top = figure.get_figheight() - TITLE_IN
    left = (WIDTH_IN - sum(width for width, _ in sizes) - 2 * GAP_IN) / 2
    for plane, (width, down) in zip(PLANES, sizes, strict=True):
        axes = _axes(figure, left, top - down, width, down)
        left += width + GAP_IN
        down_mm, across_mm = np.delete(extents, plane.axis)
        axes.set(xlim=(0, across_mm), ylim=(down_mm, 0))
        axes.set_axis_off()
        pixels = np.take(array, cut[plane.axis], plane.axis)
        draw_slice(axes, pixels.clip(*scan.window), scan.window)
        if classes is not None:
            draw_organs(axes, np.take(classes, cut[plane.axis], plane.axis))
        annotate(axes, plane, bar_mm)
        y, x = ((cut[other] + 0.5) * spacing_mm[other] for other in range(3) if other != plane.axis)
        for line, place in ((axes.axhline, y), (axes.axvline, x)):
            line(place, color=INK, linewidth=0.5, linestyle=(0, (1, 3)), alpha=0.6)


def _draw_histogram(axes: Axes, scan: Scan) -> tuple[float, float]:
    """Voxels inside and outside the body; returns the range of intensities."""
    values = scan.coarse
    low, high = (float(value) for value in np.percentile(values, SHOWN_PERCENTILES))
    low, high = min(low, scan.window[0]), max(high, scan.window[1])
    margin = 0.02 * (high - low)
    edges = np.linspace(low - margin, high + margin, BINS + 1)
    inside, outside = (np.histogram(values[mask], edges)[0] for mask in (scan.body, ~scan.body))
    axes.stairs(inside, edges, fill=True, color=INSIDE, alpha=0.75, label="inside the body")
    axes.stairs(outside, edges, color=OUTSIDE, linewidth=1.1, label="outside")
    axes.set_yscale("log")
    axes.set_ylim(0.7)
    axes.axvspan(*scan.window, color=WINDOW_COLOUR, alpha=0.13, linewidth=0)
    for edge in scan.window:
        axes.axvline(edge, color=WINDOW_COLOUR, linewidth=0.9)
    shown = " to ".join(_number(edge) for edge in scan.window)
    axes.plot([], color=WINDOW_COLOUR, label=f"shown: {shown}")
    axes.legend(
        fontsize=7.5, frameon=False, labelcolor=INK, ncols=3, loc="lower right",
        bbox_to_anchor=(1.01, 0.97),
    )  # fmt: skip
    _dress(axes)
    return float(edges[0]), float(edges[-1])


def _draw_organ_ranges(axes: Axes, scan: Scan, present: Sequence[int]) -> None:
    assert scan.classes is not None
    part = coarse_steps(scan.image)
    coarse = scan.classes[part]
    for row, index in enumerate(present):
        # A small organ may fall between the coarse voxels.
        mask = coarse == index
        values = scan.coarse[mask] if mask.sum() > 50 else scan.image.array[scan.classes == index]
        low, median, high = np.percentile(values, (5, 50, 95))
        axes.plot((low, high), (row, row), color=organ_colour(index), linewidth=2.2)
        axes.plot(median, row, "o", color=INK, markersize=2.6)
    axes.set_ylim(len(present) - 0.4, -0.6)
    for edge in scan.window:
        axes.axvline(edge, color=WINDOW_COLOUR, linewidth=0.9, alpha=0.6)
    _dress(axes)
    axes.set_yticks([])


def _write_facts(
    figure: Figure, scan: Scan, problems: Sequence[str], left: float, top: float, height: float
) -> None:
    spacing, size = scan.image.spacing_mm, scan.image.shape
    field = [n * mm for n, mm in zip(size, spacing, strict=True)]
    body = scan.coarse[scan.body]
    rows = {
        "Role": scan.role or ("with labels" if scan.classes is not None else "without labels"),
        "Spacing": f"{_by(spacing)} mm (z, y, x)",
        "Size": f"{_by(size)} voxels",
        "Field of view": " x ".join(f"{mm:.0f}" for mm in field) + " mm",
        "Orientation": f"{scan.geometry.orientation}, directions of x, y, z",
        "Values": f"{_number(scan.coarse.min())} to {_number(scan.coarse.max())}",
        "Body": f"{scan.body.mean():.0%} of the scan, median {_number(np.median(body))}",
    }
    if scan.classes is not None:
        found = Counter(ml > 0 for ml in scan.volumes_ml.values())
        rows["Organs"] = f"{found[True]} of {found[True] + found[False]}"
    for line, (key, value) in enumerate(rows.items()):
        y = (top - 0.2 * line) / height
        figure.text(left / WIDTH_IN, y, key, color=MUTED, size=8.5, va="top")
        figure.text((left + 1.05) / WIDTH_IN, y, value, color=INK, size=8.5, va="top")
    text = "\n".join(textwrap.fill(f"! {problem}", PROBLEM_LETTERS) for problem in problems)
    y = (top - 0.2 * len(rows)) / height
    figure.text(left / WIDTH_IN, y, text, color=ALARM, size=8.5, va="top")


def _axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place in inches."""
    across, down = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / down, width / across, height / down))


def _dress(axes: Axes) -> None:
    axes.set_facecolor(BACKGROUND)
    axes.tick_params(colors=MUTED, labelsize=7, length=2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)


def _by(values: Sequence[float]) -> str:
    return " x ".join(f"{value:.4g}" for value in values)


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _ml(volume: float) -> str:
    return f"{_number(volume)} ml" if volume else "absent"
