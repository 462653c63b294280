"""What all figures share: colours that colour-blind readers can tell apart, and PNG output."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dvcl.files import write_atomically

# Pages take the resolution from here; only where a figure is drawn is there need of what draws.
if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image

DPI = 160

# Of 256 colours so many are greys; channels that differ by less are grey.
GREYS, GREY = 112, 12

# Drawn on white: the darker colours of Okabe and Ito; further lines change their dashes.
LINE_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#333333")
LINE_DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)))


QUIET = "#6b6b6b"
LETTER_IN, LINE_IN = 0.086, 0.17  # of a title
NAMES_IN = 1.5  # a legend beside the panels
BELOW_ZERO = 0.03  # of an axis that begins at 0, so that a line there is seen


def above(names: Iterable[str], width_in: float) -> tuple[dict[str, str], float]:
    """Titles of panels so wide, long names in several lines, and the height of further lines.

    Returns:
        Name -> title, and inches.
    """
    letters = max(1, int(width_in / LETTER_IN))
    titles = {name: textwrap.fill(name, letters, break_long_words=False) for name in names}
    return titles, LINE_IN * max((title.count("\n") for title in titles.values()), default=0)


def dress(axes: Axes, title: str, percent: str = "") -> None:
    """The common look of a panel; ``percent`` is an axis, "x" or "y", whose fractions it shows."""
    axes.set_title(title, loc="left", size=10, weight="bold")
    axes.tick_params(labelsize=8, color=QUIET)
    axes.grid(color="#e6e6e6", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(QUIET)
    if percent:
        axis = axes.xaxis if percent == "x" else axes.yaxis
        # As many digits as tell the ticks apart: 0.5 is "50", 0.8225 "82.25".
        axis.set_major_formatter(lambda value, _: f"{round(100 * value, 2):g}")


def show_zero(axes: Axes) -> None:
    """Leave room below an axis of fractions that would end near 0, so that a line at 0 is seen."""
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, -BELOW_ZERO * high) if low < BELOW_ZERO * high else low, high)


def name_lines(figure: Figure) -> None:
    """One legend for all panels, beside them, where there are several names."""
    named = {
        name: line
        for axes in figure.axes
        for line, name in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if len(named) > 1:
        figure.legend(
            named.values(),
            named.keys(),
            loc="outside right center",
            frameon=False,
            fontsize=8,
            handlelength=3,  # dashes
        )


def png_bytes(figure: Figure) -> bytes:
    """Render as PNG, the same bytes for the same figure."""
    buffer = io.BytesIO()
    _render(figure, buffer)
    return buffer.getvalue()


def small_png_bytes(figure: Figure) -> bytes:
    """The same in 256 colours and half of the bytes: for pages with many pictures of scans."""
    from PIL import Image  # matplotlib writes its PNGs with it

    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png_bytes(figure))) as picture:
        colours = picture.convert("RGB")
        few = colours.quantize(palette=_palette(colours), dither=Image.Dither.NONE)
        few.save(buffer, "png", optimize=True)
    return buffer.getvalue()


def _palette(picture: Image) -> Image:
    """Many greys, or scans would show steps, and those colours that are there."""
    from PIL import Image

    pixels = np.asarray(picture)
    coloured = pixels[np.ptp(pixels, axis=-1) > GREY]
    greys = np.linspace(0, 255, GREYS).round().astype(int).repeat(3).tolist()
    palette = Image.new("P", (1, 1))
    if coloured.size:
        # Unlike the median cut, octrees keep the colour of an organ that is a few pixels large.
        octree = Image.fromarray(coloured[None]).quantize(256 - GREYS, Image.Quantize.FASTOCTREE)
        greys += (octree.getpalette() or [])[: 3 * (256 - GREYS)]
    palette.putpalette(greys)
    return palette


def save_png(figure: Figure, path: Path | str) -> None:
    """Render as PNG into a file, atomically."""
    with write_atomically(path) as temporary:
        _render(figure, temporary)


def save_figure(figure: Figure, path: Path) -> None:
    """Render as PNG and as PDF, for papers: ``path`` with both suffixes."""
    save_png(figure, path.with_name(f"{path.name}.png"))
    with write_atomically(path.with_name(f"{path.name}.pdf")) as temporary:
        figure.savefig(temporary, format="pdf", metadata={"CreationDate": None, "Producer": None})


def _render(figure: Figure, target: Path | io.BytesIO) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    figure.savefig(target, format="png", dpi=DPI, metadata={"Software": None})
