"""nnU-Net's numbers of channels at the end of names: "_0000", and those that belong to it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from itertools import groupby
from pathlib import Path

from dvcl.errors import InputError
from dvcl.volume import is_volume, read_geometry, volume_stem

CHANNEL_SUFFIX = "_0000"
# More numbers than these behind one name are scans that somebody has counted from zero.
MOST_CHANNELS = 8
SAME_GRID_MM = 1e-2  # between corners; headers round


def channel_suffix(stems: Iterable[str]) -> str:
    """The "_0000" of nnU-Net where all names end with it: it tells no case from another."""
    return CHANNEL_SUFFIX if all(stem.endswith(CHANNEL_SUFFIX) for stem in stems) else ""


def further_channels(images: Iterable[Path]) -> dict[Path, str]:
    """Images that are a further channel of another one, each with what is said of it.

    That is "X_0001" beside "X_0000" on the same grid, whether that is among the images or only lies
    in their folder: scans that are counted from zero have grids of their own, or are many. Headers
    alone are read.
    """
    asked = {image for image in images if _is_numbered(image)}
    folders = sorted({image.parent for image in asked})
    beside = sorted(path for folder in folders for path in folder.iterdir() if _is_numbered(path))
    further: dict[Path, str] = {}
    for _, group in groupby(beside, lambda image: (image.parent, volume_stem(image)[:-5])):
        first, *others = filter(is_volume, group)
        if volume_stem(first).endswith(CHANNEL_SUFFIX) and len(others) < MOST_CHANNELS:
            same = (image for image in others if image in asked and _is_on_grid_of(image, first))
            further |= {image: further_channel(image, first) for image in same}
    return further


def _is_numbered(image: Path) -> bool:
    return re.search(r"._\d{4}$", volume_stem(image)) is not None


def further_channel(image: Path, first: Path) -> str:
    """What is said of an image that is a further channel of the case that ``first`` is of."""
    return (
        f"{image}: is a further channel of the case of {first.name} by name and grid, and no scan "
        "of its own; one channel per case was expected. Leave it out, or, where it is another "
        "scan, give it a name without a number like that."
    )


def _is_on_grid_of(image: Path, other: Path) -> bool:
    with suppress(InputError):  # a file that cannot be read is told of where it is read
        own, first = read_geometry(image), read_geometry(other)
        return own.shape == first.shape and own.corner_distance_mm(first) < SAME_GRID_MM
    return False
