"""A network written as a file of torch or ONNX, and tried: what was written is what was trained."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from dvcl.errors import InputError
from dvcl.export.predictor import (
    PATCHES,
    PROBABILITIES,
    TOLERANCE,
    Predictor,
    make_program,
    trial_patches,
)
from dvcl.files import write_atomically
from dvcl.inference.sliding_window import Window

PACKAGES = ("onnx", "onnxscript", "onnxruntime")

Write = Callable[[Predictor, Window, Path], float]


def write_torch(predictor: Predictor, window: Window, path: Path) -> float:
    """Write a program of `torch.export` (.pt2), which needs torch alone to run.

    Returns:
        The largest difference of a probability between the file and the predictor.

    Raises:
        InputError: When they differ by more than `TOLERANCE`; there is no file then.
    """
    with write_atomically(path) as temporary:
        torch.export.save(make_program(predictor, window), temporary)
        loaded = torch.export.load(temporary).module()
        return _difference(predictor, loaded, window, path)


def write_onnx(predictor: Predictor, window: Window, path: Path) -> float:
    """Write a model of ONNX, with its weights inside, and try it with onnxruntime.

    Returns:
        As `write_torch`.

    Raises:
        InputError: As `write_torch`, or when the extra ``export`` is not installed.
    """
    require_onnx()
    import onnxruntime

    program = make_program(predictor, window)
    with write_atomically(path) as temporary:
        with _quietly():
            model = torch.onnx.export(
                program, input_names=[PATCHES], output_names=[PROBABILITIES], verbose=False
            )
        assert model is not None
        model.save(temporary, external_data=False)
        session = onnxruntime.InferenceSession(temporary, providers=["CPUExecutionProvider"])

        def run(images: Tensor) -> Tensor:
            (probabilities,) = session.run([PROBABILITIES], {PATCHES: images.numpy()})
            return torch.from_numpy(probabilities)

        return _difference(predictor, run, window, path)


def require_onnx() -> None:
    """Make sure that ONNX can be written and tried.

    Raises:
        InputError: When the extra ``export`` is not installed.
    """
    try:
        for package in PACKAGES:
            importlib.import_module(package)
    except ImportError as error:
        raise InputError(
            f"--to onnx: needs packages that are not all here ({error}). "
            f"pip install {' '.join(PACKAGES)}"
        ) from error


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what torch says about itself: what it deprecates, and that torchvision is missing."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@torch.no_grad()
def _difference(
    predictor: Predictor, program: Callable[[Tensor], Tensor], window: Window, path: Path
) -> float:
    patches = trial_patches(window)
    difference = float((program(patches) - predictor(patches)).abs().max())
    if not difference <= TOLERANCE:
        raise InputError(
            f"{path}: its probabilities differ by up to {difference:.2g} from those of the run's "
            f"network; at most {TOLERANCE:g} was expected, so the file is not kept. Please report "
            "this with the versions that `dvcl doctor` tells; try another --to."
        )
    return difference
