"""Voxel features in the plane, coloured by true class, one panel per run (DVCL, Fig. 9a)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from dvcl.datasets.organs import organ_colour
from dvcl.report.figures import QUIET, above

PANEL_IN, TITLE_IN, LEGEND_IN = 2.4, 0.3, 0.17
COLUMNS = 3
CROWD, APART = 20, 0.07
BACKGROUND = "#8c8c8c"
# A cross lies over a dot without hiding it.
MARKERS = {True: "o", False: "x"}


def feature_maps(
    names: Sequence[str],
    classes: np.ndarray,
    places: Mapping[str, np.ndarray],
    reliable: Mapping[str, np.ndarray],
) -> Figure:
    """Draw the same voxels as every run sees them: a dot where reliable, a cross where not.

    A number stands where most of a class is, for readers who see no colour.

    Args:
        names: (K,) of the classes, the background first.
        classes: (N,) true class of the voxels.
        places: Name of a run -> (N, 2), of `evaluation.embedding.embed`.
        reliable: Of the same runs -> (N,) bool.
    """
    columns = min(COLUMNS, len(places))
    lines = math.ceil(len(places) / columns)
    side_in = PANEL_IN if columns > 1 else 2 * PANEL_IN
    entries, abreast = _legend(names, classes), 4 if columns > 2 else 3
    legend_in = LEGEND_IN * math.ceil(len(entries) / abreast)
    titles, further_in = above(places, side_in)
    figure = Figure(
        (side_in * columns, lines * (side_in + TITLE_IN + further_in) + legend_in),
        layout="compressed", facecolor="white",
    )  # fmt: skip
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes, run in zip(grid.flat, places, strict=False):
        _draw(axes, classes, places[run], reliable[run])
        axes.set_title(titles[run], loc="left", size=10, weight="bold")
    for axes in list(grid.flat)[len(places) :]:
        axes.set_visible(False)
    figure.legend(
        handles=entries, loc="outside lower center", ncols=abreast,
        frameon=False, fontsize=8, handletextpad=0.2, columnspacing=1.2,
    )  # fmt: skip
    return figure


def class_colour(index: int) -> str:
    """Of the organs as in all figures; grey for the background."""
    return organ_colour(index) if index else BACKGROUND


def _draw(axes: Axes, classes: np.ndarray, places: np.ndarray, reliable: np.ndarray) -> None:
    for sure, marker in MARKERS.items():
        chosen = reliable == sure
        colours = [class_colour(index) for index in classes[chosen]]
        axes.scatter(
            places[chosen, 0], places[chosen, 1], c=colours, marker=marker, s=5 if sure else 9,
            linewidths=0 if sure else 0.7, rasterized=len(places) > 5000,
        )  # fmt: skip
    for index, (x, y) in _number_places(classes, places).items():
        axes.text(
            x, y, str(index), size=8, weight="bold", ha="center",
            va="center", path_effects=[withStroke(linewidth=2, foreground="white")],
        )  # fmt: skip
    # Square, with one scale on both axes.
    middle, half = (places.min(0) + places.max(0)) / 2, 0.53 * np.ptp(places, axis=0).max()
    x, y = middle
    axes.set(xticks=[], yticks=[], xlim=(x - half, x + half), ylim=(y - half, y + half))
    axes.set_box_aspect(1)
    axes.spines[:].set_color("#cccccc")


def _number_places(classes: np.ndarray, places: np.ndarray) -> dict[int, np.ndarray]:
    """Where most features of each class lie, none upon another.

    The middle of a scattered class would often be nowhere near it.
    """
    room = APART * np.ptp(places, axis=0).max()
    found: dict[int, np.ndarray] = {}
    for index in np.unique(classes).tolist():
        mine = places[classes == index]
        distances = np.linalg.norm(mine[:, None] - mine[None], axis=2)
        crowd = np.sort(distances, axis=1)[:, : 1 + CROWD].sum(1)
        for taken in found.values():
            crowd[np.linalg.norm(mine - taken, axis=1) < room] = np.inf
        found[index] = mine[crowd.argmin()]
    return found


def _legend(names: Sequence[str], classes: np.ndarray) -> list[Line2D]:
    occurring = set(classes.tolist())
    entries = [
        Line2D(
            [], [], linestyle="", marker="o", markersize=5, markeredgewidth=0,
            color=class_colour(index),
            label=f"{index} {name}" + ("" if index in occurring else " (absent)"),
        )
        for index, name in enumerate(names)
    ]  # fmt: skip
    kinds = [
        Line2D([], [], linestyle="", marker=marker, markersize=4, color=QUIET, label=label)
        for marker, label in zip(MARKERS.values(), ("reliable", "unreliable"), strict=True)
    ]
    return [*kinds, *entries]
