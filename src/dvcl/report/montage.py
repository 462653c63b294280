"""A montage: a whole data set as tiles at one scale, so that what does not belong stands out."""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.text import Text

from dvcl.datasets.dataset import Role
from dvcl.report.panels import (
    BACKGROUND,
    INK,
    LEGEND_ROW_IN,
    OUTLINE,
    add_legend,
    legend_shape,
)
from dvcl.report.tiles import Tile

WIDTH_IN, TALLEST_IN, HEAD_IN = 14.0, 17.0, 0.62
GAP_IN, STRIP_IN, TEXT_IN = 0.1, 0.055, 0.46
LARGEST_CELL_IN = 3.2
MOST_COLUMNS = 5

# One far larger scan does not shrink all others.
TYPICAL_PERCENTILE, MOST_GROWTH = 75, 1.5

# Of Okabe and Ito, bright enough for black; words stand beside them everywhere.
ROLE_COLOURS: dict[Role | None, str] = {
    "labelled": "#56b4e9",
    "unlabelled": "#9a9a9a",
    "validation": "#f0e442",
    "test": "#cc79a7",
    None: "#009e73",
}
ROLE_WORDS: dict[Role | None, str] = {None: "no role yet"}
MUTED, ALARM = "#b8b8b8", "#ff7f2a"


def montages(tiles: Sequence[Tile], organs: Sequence[str], title: str) -> Iterator[Figure]:
    """Draw all tiles, sorted by role and id, on as many pages as they need.

    A tile shows the coronal and the axial plane of a case, in radiological convention, under a
    strip in the colour of its role. All tiles have one scale in mm; the few that would not fit are
    shrunk, and say so. Orange frames and words mark what should be looked at.

    Args:
        tiles: At least one.
        organs: Names for the legend; empty where no tile has labels.
        title: Stands above every page.
    """
    order = list(ROLE_COLOURS)
    tiles = sorted(tiles, key=lambda tile: (order.index(tile.role), tile.id))
    wide_mm, tall_mm = _cell_mm(tiles)
    columns = min(MOST_COLUMNS, len(tiles))
    cell_in = min(LARGEST_CELL_IN, WIDTH_IN / columns) - GAP_IN
    inch = cell_in / wide_mm
    row_in = STRIP_IN + tall_mm * inch + TEXT_IN + GAP_IN
    rows = max(1, int((TALLEST_IN - HEAD_IN) / row_in))
    held = rows * columns
    pages = math.ceil(len(tiles) / held)
    counts = Counter(tile.role for tile in tiles)
    for page in range(pages):
        heading = title if pages == 1 else f"{title}, page {page + 1} of {pages}"
        shown = tiles[page * held : (page + 1) * held]
        yield _page(shown, columns, cell_in, row_in, inch, heading, counts, organs)


def _page(
    tiles: Sequence[Tile],
    columns: int,
    cell_in: float,
    row_in: float,
    inch: float,
    heading: str,
    counts: Counter[Role | None],
    organs: Sequence[str],
) -> Figure:
    rows = math.ceil(len(tiles) / columns)
    width = max(7.0, columns * (cell_in + GAP_IN) + GAP_IN)
    legend_rows, legend_columns = legend_shape(organs, width) if organs else (0, 1)
    foot = LEGEND_ROW_IN * legend_rows + GAP_IN
    height = HEAD_IN + rows * row_in + foot
    figure = Figure((width, height), facecolor=BACKGROUND)
    canvas = figure.add_axes((0, 0, 1, 1))
    canvas.set(xlim=(0, width), ylim=(height, 0))
    canvas.set_axis_off()
    canvas.text(GAP_IN, 0.18, heading, color=INK, size=12, weight="bold", va="center")
    _add_role_legend(canvas, counts)
    for index, tile in enumerate(tiles):
        left = GAP_IN + index % columns * (cell_in + GAP_IN)
        _draw_tile(canvas, tile, left, HEAD_IN + index // columns * row_in, cell_in, row_in, inch)
    # Drawing images narrows the view to them.
    canvas.set(xlim=(0, width), ylim=(height, 0))
    if organs:
        add_legend(figure, organs, legend_columns)
    return figure


def _draw_tile(
    axes: Axes, tile: Tile, left: float, top: float, width: float, height: float, inch: float
) -> None:
    colour = ROLE_COLOURS[tile.role]
    axes.add_patch(Rectangle((left, top), width, STRIP_IN, color=colour, linewidth=0))
    top += STRIP_IN
    pane_in = height - STRIP_IN - TEXT_IN - GAP_IN
    shrunk = _draw_panes(axes, tile, left, top, width, pane_in, inch) if tile.panes else 1.0
    name = axes.text(
        left, top + pane_in + 0.1, tile.id, color=INK, size=7.5, weight="bold", va="center"
    )
    _shorten(name, width)
    axes.text(left, top + pane_in + 0.23, tile.caption, color=MUTED, size=5.6, va="center")
    notes = [*tile.problems, *([f"shown at {shrunk:.0%} of the scale"] if shrunk < 0.999 else [])]
    if not notes:
        return
    if tile.problems:
        axes.add_patch(
            Rectangle((left, top), width, pane_in, fill=False, edgecolor=ALARM, linewidth=1.4)
        )
    text = "\n".join(_wrapped("! " + "; ".join(notes), int(width / 0.042)))
    place = top + pane_in + 0.31 if tile.panes else top + 0.08
    axes.text(left + 0.02, place, text, color=ALARM, size=5.6, va="top", linespacing=1.1)


def _draw_panes(
    axes: Axes, tile: Tile, left: float, top: float, width: float, height: float, inch: float
) -> float:
    """Both planes side by side; returns by how much they had to be shrunk."""
    across = sum(pane.width_mm for pane in tile.panes) * inch
    tallest = max(pane.height_mm for pane in tile.panes) * inch
    shrunk = min(1.0, width / across, height / tallest)
    x = left + (width - across * shrunk) / 2
    for pane in tile.panes:
        wide, tall = pane.width_mm * inch * shrunk, pane.height_mm * inch * shrunk
        y = top + (height - tall) / 2
        axes.imshow(
            pane.pixels, extent=(x, x + wide, y + tall, y), interpolation="bilinear",
            aspect="auto",
        )  # fmt: skip
        style: dict[str, Any] = {"color": INK, "size": 5, "va": "center", "path_effects": OUTLINE}
        axes.text(x + 0.03, y + tall / 2, "R", ha="left", **style)
        axes.text(x + wide / 2, y + 0.06, pane.top, ha="center", **style)
        x += wide
    return shrunk


def _cell_mm(tiles: Sequence[Tile]) -> tuple[float, float]:
    """Width and height that hold all tiles but far larger ones; 10 mm where none has a picture."""
    sizes = [
        (sum(pane.width_mm for pane in tile.panes), max(pane.height_mm for pane in tile.panes))
        for tile in tiles
        if tile.panes
    ]
    if not sizes:
        return 10.0, 10.0
    typical = np.percentile(sizes, TYPICAL_PERCENTILE, axis=0)
    wide, tall = np.minimum(np.max(sizes, axis=0), MOST_GROWTH * typical)
    return float(wide), float(tall)


def _add_role_legend(axes: Axes, counts: Counter[Role | None]) -> None:
    handles = [
        Patch(color=colour, label=f"{count} {ROLE_WORDS.get(role, role)}")
        for role, colour in ROLE_COLOURS.items()
        if (count := counts[role])
    ]
    # In inches from the upper left corner, as everything on the page.
    legend = axes.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(GAP_IN - 0.03, 0.3),
        bbox_transform=axes.transData, ncols=len(handles), frameon=False, fontsize=8.5,
        labelcolor=INK, handlelength=1.0, handleheight=1.0, borderpad=0, columnspacing=1.6,
        borderaxespad=0,
    )  # fmt: skip
    legend.set_in_layout(False)


def _shorten(text: Text, width: float) -> None:
    """Long ids end in an ellipsis; their beginning tells them apart in most data sets."""
    letters = int(width / 0.068)
    shown = text.get_text()
    if len(shown) > letters:
        text.set_text(f"{shown[: letters - 1]}…")


def _wrapped(text: str, letters: int) -> list[str]:
    return textwrap.wrap(text, letters, max_lines=2, placeholder=" …")
