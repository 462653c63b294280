"""Colours that stay apart for colour-blind readers, and PNG files without traces."""

import io
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from dvcl.datasets.amos22 import AMOS22
from dvcl.datasets.btcv import BTCV
from dvcl.datasets.flare22 import FLARE22
from dvcl.datasets.organs import ORGAN_COLOURS, organ_colour
from dvcl.report.figures import (
    above,
    dress,
    png_bytes,
    save_png,
    small_png_bytes,
)

# Machado, Oliveira and Fernandes, IEEE TVCG 15 (2009), severity 1, for linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}


def seen(colours, matrix):
    """Lab values of colours as seen through a simulated colour vision."""
    rgb = np.array([to_rgb(colour) for colour in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = (linear @ np.transpose(matrix)).clip(0, 1)
    return rgb2lab(
        np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    )


def least_distance(lab):
    first, second = np.triu_indices(len(lab), 1)
    return deltaE_ciede2000(lab[first], lab[second]).min()


@pytest.mark.parametrize("vision", VISION)
def test_organs_stay_apart_in_every_vision(vision):
    lab = seen(ORGAN_COLOURS, VISION[vision])
    assert least_distance(lab[:16]) > 9.9
    assert least_distance(lab) > 8


NEIGHBOURS = {
    "liver": ("right kidney", "gallbladder", "stomach", "duodenum", "inferior vena cava",
              "right adrenal gland", "pancreas", "esophagus", "spleen"),
    "spleen": ("left kidney", "stomach", "pancreas", "left adrenal gland", "gallbladder",
               "duodenum"),
    "stomach": ("pancreas", "duodenum", "esophagus", "gallbladder", "left kidney"),
    "gallbladder": ("duodenum", "pancreas"),
    "duodenum": ("pancreas", "right kidney", "inferior vena cava", "aorta"),
    "pancreas": ("aorta", "inferior vena cava", "left kidney", "left adrenal gland"),
    "aorta": ("inferior vena cava", "esophagus", "left adrenal gland"),
    "inferior vena cava": ("right adrenal gland", "right kidney"),
    "right kidney": ("right adrenal gland",),
    "left kidney": ("left adrenal gland",),
    "bladder": ("prostate or uterus",),
}  # fmt: skip


@pytest.mark.parametrize("dataset", [FLARE22, BTCV, AMOS22], ids=lambda published: published.name)
@pytest.mark.parametrize(
    ("vision", "least"), [("normal", 24), ("protanopia", 13), ("deuteranopia", 13)]
)
def test_organs_that_lie_beside_each_other_are_told_apart(dataset, vision, least):
    organs = list(dataset.organs.values())
    lab = dict(zip(organs, seen(ORGAN_COLOURS, VISION[vision]), strict=False))
    close = {
        (organ, other): distance
        for organ, others in NEIGHBOURS.items()
        for other in others
        if organ in lab and other in lab
        and (distance := deltaE_ciede2000(lab[organ], lab[other])) < least
    }  # fmt: skip
    assert not close


def test_twenty_organs_then_the_colours_repeat():
    assert len({organ_colour(index) for index in range(1, 21)}) == 20
    assert organ_colour(21) == organ_colour(1)


def test_png_is_the_same_every_time(tmp_path):
    def figure():
        drawn = Figure((2, 1))
        drawn.subplots().plot([0, 1])
        return drawn

    save_png(figure(), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == png_bytes(figure())
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_no_global_figure_state_is_touched():
    modules = "dvcl.report.curves, dvcl.report.overlays, dvcl.report.html"
    program = f"import sys, {modules}; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_few_colours_keep_the_picture_and_the_smallest_organ():
    figure = Figure((2, 1), facecolor="black")
    axes = figure.add_axes((0, 0, 1, 1))
    grey = np.random.default_rng(0).normal(0.5, 0.1, (40, 80, 1)).repeat(3, axis=2).clip(0, 1)
    grey[20:22, 40:42] = to_rgb(organ_colour(7))
    axes.imshow(grey, aspect="auto", interpolation="nearest")
    axes.set_axis_off()
    small = small_png_bytes(figure)
    assert len(small) < 0.6 * len(png_bytes(figure))
    pictures = [
        np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), float)
        for data in (small, png_bytes(figure))
    ]
    assert np.abs(pictures[0] - pictures[1]).max() < 12, "no steps in the greys"
    close = np.abs(pictures[0] - 255 * np.array(to_rgb(organ_colour(7)))).max(axis=-1) < 30
    assert close.any()


def test_long_titles_take_several_lines_and_more_height():
    titles, further_in = above(["dvcl", "dvcl, neighbours=5, outsiders=10"], width_in=1.9)
    assert titles["dvcl"] == "dvcl"
    assert titles["dvcl, neighbours=5, outsiders=10"] == "dvcl, neighbours=5,\noutsiders=10"
    assert further_in > 0
    assert above(["dvcl"], 1.9)[1] == 0
    assert above(["a_word_longer_than_its_panel"], 0.5)[0] != {}


def test_titles_stay_above_their_panels():
    figure = Figure((4, 2), layout="constrained")
    panels = figure.subplots(1, 2)
    names = ["dvcl, hippocampus, 5 labelled, distance=0.0", "dvcl, hippocampus, 5 labelled"]
    titles, _ = above(names, 1.7)
    for axes, name in zip(panels, names, strict=True):
        dress(axes, titles[name])
    figure.draw_without_rendering()
    for axes in panels:
        assert axes._left_title.get_window_extent().x1 <= axes.get_window_extent().x1 + 2
