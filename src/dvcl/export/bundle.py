"""A bundle that `python -m monai.bundle run` segments scans with, without dvcl."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch

import dvcl
from dvcl.errors import InputError, counted
from dvcl.export.description import describe
from dvcl.export.predictor import Predictor
from dvcl.export.programs import write_torch
from dvcl.files import write_json, write_text
from dvcl.inference.sliding_window import SPREAD, Window, windows_at_once
from dvcl.studies.run import Run
from dvcl.studies.seen import read_seen

MODEL = "models/model.pt2"
SCRIPTS = ("__init__.py", "exported_network.py", "prepared_grid.py", "highest_class.py")
WRITTEN_FOR = "1.6.1"  # version of MONAI
RUN = (
    "python -m monai.bundle run --config_file configs/inference.json "
    "--dataset_dir SCANS --output_dir MASKS"
)


def write_bundle(run: Run, predictor: Predictor, folder: Path) -> float:
    """Write a bundle: network, preparation, window and way back as MONAI's configuration.

    Args:
        run: Trained.
        predictor: Of its method.
        folder: Of the bundle; files of an earlier one are replaced.

    Returns:
        As `write_torch`.

    Raises:
        InputError: As `write_torch`, or when a setting has no counterpart in MONAI.
    """
    if run.recipe.window.fit:
        raise InputError(
            f"{run.folder}: window.fit shrinks windows to small scans, which MONAI's sliding "
            "window does not. Take --to torch or --to onnx, and cut the windows yourself."
        )
    difference = write_torch(predictor, run.recipe.window, folder / MODEL)
    about = describe(run, {MODEL: folder / MODEL})
    write_json(folder / "models" / "model.json", about)
    packaged = resources.files(__package__).joinpath("bundle_scripts")
    for name in SCRIPTS:
        text = packaged.joinpath(name).read_text(encoding="utf-8")
        write_text(folder / "scripts" / name, text)
    write_text(folder / "docs" / "README.md", _readme(run))
    write_json(folder / "configs" / "metadata.json", _metadata(run))
    write_json(folder / "configs" / "inference.json", _inference(run))
    return difference


def _inference(run: Run) -> dict[str, Any]:
    """MONAI's configuration; names with @ refer to other entries, $ begins an expression."""
    return {
        "imports": ["$import pathlib", "$import torch"],
        "bundle_root": ".",
        "dataset_dir": "scans",
        "output_dir": "masks",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "data": "$[{'image': str(path)} for path in sorted(pathlib.Path(@dataset_dir).iterdir())"
        " if not path.name.startswith('.')]",
        "network_def": {
            "_target_": "scripts.exported_network.ExportedNetwork",
            "path": f"$str(pathlib.Path(@bundle_root) / '{MODEL}')",
            "device": "@device",
        },
        "preprocessing": {"_target_": "Compose", "transforms": _preparation(run)},
        "dataset": {"_target_": "Dataset", "data": "@data", "transform": "@preprocessing"},
        "dataloader": {
            "_target_": "DataLoader",
            "dataset": "@dataset",
            "batch_size": 1,
            "shuffle": False,
            "num_workers": 0,
        },
        "inferer": _inferer(run.recipe.window),
        "postprocessing": {"_target_": "Compose", "transforms": _way_back(run)},
        "handlers": [],
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network_def",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
            "val_handlers": "@handlers",
        },
        "run": ["$@evaluator.run()"],
    }


def _preparation(run: Run) -> list[dict[str, Any]]:
    settings, image = run.recipe.preprocessing, {"keys": ["image"]}
    steps: list[dict[str, Any]] = [
        {"_target_": "LoadImaged", **image, "ensure_channel_first": True, "image_only": True},
        {"_target_": "Orientationd", **image, "axcodes": settings.orientation, "labels": None},
    ]
    if settings.window:
        low, high = settings.window
        ends = {"a_min": low, "a_max": high, "b_min": low, "b_max": high}
        steps.append({"_target_": "ScaleIntensityRanged", **image, **ends, "clip": True})
    lower, upper = settings.percentiles
    return [
        *steps,
        {
            "_target_": "scripts.prepared_grid.PreparedGridd",
            **image,
            "spacing_mm": _as_xyz(settings.spacing_mm),
            "order": settings.order,
        },
        {
            "_target_": "ScaleIntensityRangePercentilesd",
            **image,
            **{"lower": lower, "upper": upper, "b_min": 0.0, "b_max": 1.0, "clip": False},
        },
        {"_target_": "EnsureTyped", **image},
    ]


def _inferer(window: Window) -> dict[str, Any]:
    # MONAI takes the whole part of size * (1 - overlap); a quarter more keeps it at the stride.
    pairs = zip(window.size, window.stride, strict=True)
    overlap = [1 - min(stride + 0.25, size) / size for size, stride in pairs]
    return {
        "_target_": "SlidingWindowInferer",
        "roi_size": _as_xyz(window.size),
        "sw_batch_size": windows_at_once(window.size, torch.device("cpu")),
        "overlap": _as_xyz(overlap),
        "mode": {"equal": "constant", "gaussian": "gaussian"}[window.importance],
        "sigma_scale": SPREAD,
        "padding_mode": "constant",
        "cval": 0.0,
    }


def _way_back(run: Run) -> list[dict[str, Any]]:
    values = list(run.labels.values)
    return [*_highest_class(run), *_written(values)]


def _highest_class(run: Run) -> Iterator[dict[str, Any]]:
    """Class indices on the scan's own voxels, cleaned up as `dvcl predict` does by default."""
    yield {
        "_target_": "scripts.highest_class.HighestClassd",
        "key": "pred",
        "image": "image",
        "preprocessing": "@preprocessing",
    }
    if kept := read_seen(run).one_part:
        yield {
            "_target_": "KeepLargestConnectedComponentd",
            "keys": ["pred"],
            "applied_labels": [run.labels.names.index(organ) for organ in kept],
            "is_onehot": False,
        }


def _written(values: list[int]) -> list[dict[str, Any]]:
    return [
        {
            "_target_": "MapLabelValued",
            "keys": ["pred"],
            "orig_labels": list(range(len(values))),
            "target_labels": values,
            "dtype": "$torch.int32",
        },
        {
            "_target_": "SaveImaged",
            "keys": ["pred"],
            "output_dir": "@output_dir",
            "output_postfix": "",
            "output_dtype": f"$'{_smallest_type(values)}'",
            "resample": False,
            "separate_folder": False,
        },
    ]


def _smallest_type(values: list[int]) -> str:
    if min(values) >= 0 and max(values) <= 255:
        return "uint8"
    return "int16" if max(values) <= 2**15 - 1 else "int32"


def _as_xyz(zyx: Any) -> list[Any]:
    return list(zyx)[::-1]


def _metadata(run: Run) -> dict[str, Any]:
    """What MONAI's tools read about a bundle."""
    size = run.recipe.window.size
    shared = {"format": "magnitude", "is_patch_data": True, "dtype": "float32"}
    classes: Mapping[str, str] = {str(i): name for i, name in enumerate(run.labels.names)}
    return {
        "version": dvcl.__version__,
        "changelog": {dvcl.__version__: "exported"},
        "monai_version": WRITTEN_FOR,
        "pytorch_version": torch.__version__.partition("+")[0],
        "numpy_version": np.__version__,
        "required_packages_version": {
            "nibabel": "5.3",
            "pytorch-ignite": "0.5",
            "fire": "0.7",
            "scikit-image": "0.25",
        },
        "name": f"{counted(run.labels.classes - 1, 'organ')} in {run.modality}",
        "task": f"Segmentation of {', '.join(run.labels.organs)} in {run.modality}",
        "description": f"Trained with {run.method} by dvcl; models/model.json has the details",
        "authors": "to be filled in by you",
        "copyright": "to be filled in by you",
        "intended_use": "Research software: not for diagnosis or treatment",
        "network_data_format": {
            "inputs": {
                "image": {
                    **shared,
                    "type": "image",
                    "modality": run.modality,
                    "num_channels": 1,
                    "spatial_shape": _as_xyz(size),
                    "value_range": [0, 1],
                    "channel_def": {"0": "image"},
                }
            },
            "outputs": {
                "pred": {
                    **shared,
                    "type": "probabilities",
                    "num_channels": run.labels.classes,
                    "spatial_shape": _as_xyz(size),
                    "value_range": [0, 1],
                    "channel_def": dict(classes),
                }
            },
        },
    }


def _readme(run: Run) -> str:
    organs = "\n".join(
        f"- {value}: {name}"
        for value, name in zip(run.labels.values[1:], run.labels.organs, strict=True)
    )
    return f"""# {counted(run.labels.classes - 1, "organ")} in {run.modality}

In this folder, with `monai[fire,ignite,skimage]` of version {WRITTEN_FOR} or newer, nibabel, and
torch {torch.__version__.partition("+")[0]} or newer:

    {RUN}

segments every scan of the folder SCANS on its own voxels. dvcl is not needed. The label maps hold:

{organs}

What was trained how, and every step from a scan to a label map: `models/model.json`. Research
software: these label maps are not for diagnosis or treatment.
"""
