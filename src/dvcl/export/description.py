"""All that another program must know to use an exported network, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

import dvcl
from dvcl.export.predictor import PATCHES, PROBABILITIES
from dvcl.files import sha256_of_bytes
from dvcl.inference.sliding_window import AIR, LEAST, SPREAD
from dvcl.studies.run import Run
from dvcl.studies.seen import read_seen

FORMAT = 1

GRID = (
    "Turn the axes so that (x, y, z) grow towards the letters of `orientation`. Along every axis "
    "n voxels of spacing s become m = round(n * s / spacing_mm) voxels, at least 1, and the "
    "centres of both grids coincide: voxel i lies at ((n - 1) - (m - 1) * step) / 2 + step * i of "
    "the file's axis, step = spacing_mm / s. Beyond the ends the end voxel is repeated. An axis "
    "whose spacing agrees to a thousandth of a voxel over its length keeps its own."
)
SCALE = (
    "(x - low) / (high - low) with the two percentiles of all voxels after resampling, without "
    "clamping; minimum and maximum where both are equal."
)
COMBINE = (
    "Pad the volume with 0 on both sides to at least one window. Windows start at every stride, "
    "the last one ends at the border. Average the probabilities of all windows over a voxel"
)
COUNTS = {
    "equal": ", all windows equally.",
    "gaussian": "; a window counts there by a Gaussian along each axis around its middle, of "
    f"{SPREAD} of its side as standard deviation, multiplied over the axes, at least {LEAST}.",
}
RESTORE = (
    "Interpolate the probabilities linearly at the file's voxels, take the most probable class (of "
    "equal ones the lower), write its `value`."
)


def describe(run: Run, files: Mapping[str, Path]) -> dict[str, Any]:
    """The description of a run's exported network; it names no case and no folder.

    Args:
        run: Trained.
        files: The program by the name that it has beside the description; hashed.

    Raises:
        InputError: When the run's record is damaged.
    """
    recipe = run.recipe
    return {
        "format": FORMAT,
        "dvcl": dvcl.__version__,
        "torch": torch.__version__,
        "method": run.method,
        "network": asdict(recipe.network),
        "recipe": recipe.name,
        "weights": {
            "file": run.checkpoint.name,
            "sha256": sha256_of_bytes(run.checkpoint),
            "steps": run.steps_done(),
            "trained_in": run.precision(),
        },
        "files": {name: {"sha256": sha256_of_bytes(path)} for name, path in files.items()},
        "input": {
            "name": PATCHES,
            "axes": ["batch", "channel", "z", "y", "x"],
            "shape": [None, 1, *recipe.window.size],
            "type": "float32",
        },
        "output": {
            "name": PROBABILITIES,
            "axes": ["batch", "class", "z", "y", "x"],
            "shape": [None, run.labels.classes, *recipe.window.size],
            "type": "float32",
        },
        "modality": run.modality,
        "preprocessing": _preprocessing(run),
        "window": {
            "size_zyx": list(recipe.window.size),
            "stride_zyx": list(recipe.window.stride),
            "combine": COMBINE + COUNTS[recipe.window.importance],
            "air": f"patches without a value of {AIR} or more are background; done by the network"
            if recipe.window.skip_air
            else "goes through the network like all else",
        },
        "postprocessing": RESTORE,
        "keep_largest_part_of": list(read_seen(run).one_part or ()),
        "labels": [
            {"class": index, "value": value, "name": name}
            for index, (value, name) in enumerate(
                zip(run.labels.values, run.labels.names, strict=True)
            )
        ],
        "use": "Research software: these label maps are not for diagnosis or treatment.",
    }


def _preprocessing(run: Run) -> dict[str, Any]:
    """In the order in which it is done."""
    settings = run.recipe.preprocessing
    return {
        "orientation": settings.orientation,
        "clip": list(settings.window) if settings.window else None,
        "spacing_mm_zyx": list(settings.spacing_mm),
        "grid": GRID,
        "interpolation": {1: "linear", 3: "cubic spline"}[settings.order],
        "percentiles": list(settings.percentiles),
        "scale": SCALE,
    }
