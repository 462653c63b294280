"""In which precision and with which kernels a recipe's network goes fastest, and a run goes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from dvcl.recipe import Recipe
from dvcl.records import read_record
from dvcl.studies.run_record import KernelRecord, RunRecord
from dvcl.training.kernels import USUAL, Kernels, faster_kernels
from dvcl.training.precision import Precision, faster_precision


def measure_pace(recipe: Recipe, classes: int, device: torch.device) -> tuple[Precision, Kernels]:
    """Measure what the recipe leaves to the machine, on its own network and patch.

    Args:
        recipe: All settings.
        classes: K.
        device: Of the training.
    """
    asked = recipe.training.precision
    precision = faster_precision(device) if asked == "auto" else asked
    training = replace(recipe.training, precision=precision)
    kernels = faster_kernels(
        recipe.network, classes, recipe.sampling.patch, device, training.autocast, training.compile
    )
    return precision, kernels


def kernel_record(kernels: Kernels) -> KernelRecord:
    """As run.json holds it."""
    return {"taken": [*kernels.taken], "found": dict(kernels.found)}


def recorded_kernels(folder: Path, remedy: str) -> KernelRecord:
    """With which a run is trained; those of earlier versions with the device's usual ones.

    Raises:
        InputError: When the run's record is damaged; ends with ``remedy``.
    """
    with read_record(folder / "run.json", RunRecord, remedy) as record:
        return record.get("kernels", kernel_record(USUAL))
