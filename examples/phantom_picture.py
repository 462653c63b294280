"""Draw phantom patients into a PNG file, docs/images/phantom.png if no other is named."""

import sys
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from dvcl.datasets.phantom import ORGANS, phantom_case
from dvcl.preprocessing.geometry import orient
from dvcl.report.figures import organ_colour, save_png

SEEDS = (5, 6, 12)
SPACING_MM = (2.5, 2.0, 2.0)
SOFT_TISSUE_HU = (-160, 240)
GREYS = 20  # noise in more of them makes large files
PANCREAS, LEFT_ADRENAL, DUODENUM = 4, 8, 12


def draw_slice(axes: Axes, image: np.ndarray, label: np.ndarray, aspect: float) -> None:
    """Show one slice in grey and the outline of every organ in it, cropped to the body."""
    rows, columns = (np.flatnonzero((image > -200).mean(axis) > 0.1) for axis in (1, 0))
    body = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    image, label = image[body], label[body]
    low, high = SOFT_TISSUE_HU
    greys = np.round((image.clip(low, high) - low) / (high - low) * GREYS)
    axes.imshow(greys, cmap="gray", vmin=0, vmax=GREYS, aspect=aspect, interpolation="nearest")
    for value in ORGANS:
        if (label == value).any():
            axes.contour(label == value, [0.5], colors=[organ_colour(value)], linewidths=0.7)


def draw_patient(row: list[Axes], seed: int) -> None:
    """Axial slices through adrenal gland, pancreas and duodenum, and a coronal one."""
    image, label = (orient(volume, "LPI") for volume in phantom_case(seed, SPACING_MM))
    depth, _, width = image.spacing_mm
    for axes, organ in zip(row, (LEFT_ADRENAL, PANCREAS, DUODENUM), strict=False):
        z = int(np.argwhere(label.array == organ)[:, 0].mean())
        draw_slice(axes, image.array[z], label.array[z], aspect=1)
    y = int(np.argwhere(label.array == PANCREAS)[:, 1].mean())
    draw_slice(row[3], image.array[:, y], label.array[:, y], aspect=depth / width)


def main(path: Path) -> None:
    figure = Figure(figsize=(6.4, 1.5 * len(SEEDS) + 0.4), facecolor="black")
    rows = figure.subplots(len(SEEDS), 4, squeeze=False)
    for row, seed in zip(rows, SEEDS, strict=True):
        for axes in row:
            axes.set_axis_off()
        draw_patient(list(row), seed)
    legend = [Patch(color=organ_colour(value), label=name) for value, name in ORGANS.items()]
    figure.legend(
        handles=legend, ncols=7, loc="lower center", frameon=False, labelcolor="white", fontsize=5.5
    )
    figure.subplots_adjust(0, 0.4 / figure.get_figheight(), 1, 1, 0, 0)
    save_png(figure, path)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images/phantom.png"))
