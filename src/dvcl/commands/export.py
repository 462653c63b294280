"""Write a run's network for other programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import torch

from dvcl.errors import quoted
from dvcl.export.bundle import MODEL, RUN, write_bundle
from dvcl.export.description import describe
from dvcl.export.predictor import Predictor
from dvcl.export.programs import Write, write_onnx, write_torch
from dvcl.files import require_writable, write_json
from dvcl.studies.run import Run

Target = Literal["onnx", "torch", "monai"]


class Exported(NamedTuple):
    """What was written.

    Attributes:
        model: The network's file.
        description: Of preprocessing, window and labels.
        difference: The largest one of a probability, from the run's network in float32.
        usage: How to use it; empty where that takes a program of one's own.
    """

    model: Path
    description: Path
    difference: float
    usage: str = ""


def export_run(run: Run, target: Target, folder: Path) -> Exported:
    """Write the predicting part of a run, with a description of all around it, and try it.

    Args:
        run: Trained.
        target: "onnx" or "torch" for a network with its description, "monai" for a bundle.
        folder: To write into; files of an earlier export are replaced.

    Raises:
        InputError: When the run has no weights, the extra is missing, or the file does not predict
            as the run does.
    """
    require_writable(folder)
    predictor = Predictor(run.trained_method(torch.device("cpu")), run.recipe.window)
    return TARGETS[target](run, predictor, folder)


def _bundle(run: Run, predictor: Predictor, folder: Path) -> Exported:
    difference = write_bundle(run, predictor, folder)
    description = folder / "models" / "model.json"
    return Exported(folder / MODEL, description, difference, f"cd {quoted(folder)} && {RUN}")


def _program(name: str, write: Write) -> Callable[[Run, Predictor, Path], Exported]:
    def export(run: Run, predictor: Predictor, folder: Path) -> Exported:
        model, description = folder / name, folder / "model.json"
        difference = write(predictor, run.recipe.window, model)
        write_json(description, describe(run, {name: model}))
        return Exported(model, description, difference)

    return export


TARGETS: dict[Target, Callable[[Run, Predictor, Path], Exported]] = {
    "onnx": _program("model.onnx", write_onnx),
    "torch": _program("model.pt2", write_torch),
    "monai": _bundle,
}
