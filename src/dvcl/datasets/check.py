"""Read a whole data set once and list everything that would spoil a training run."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from dvcl.datasets.dataset import Case, Dataset, LabelTable
from dvcl.datasets.masks import read_case_label
from dvcl.datasets.pairing import duplicate_ids
from dvcl.errors import InputError
from dvcl.volume import Volume, read_volume

TOLERANCE_MM = 0.5  # between the corners of an image's and its label's grid
MAX_WORKERS = 4  # each holds one image and one label in memory


def check_dataset(
    dataset: Dataset, progress: Callable[[int, int, str], None] | None = None
) -> None:
    """Check every file of a data set; label files of unlabelled cases are not opened.

    Args:
        dataset: What to read.
        progress: Called in this thread with cases done, cases in all and the id of the last one.

    Raises:
        InputError: With all problems of all cases: unreadable files, NaN or infinite voxels,
            constant images, labels of another grid or with values outside the table, double ids.
    """
    problems = duplicate_ids(dataset.cases) if dataset.cases else [f"{dataset.name}: no cases."]
    with ThreadPoolExecutor(min(MAX_WORKERS, os.cpu_count() or 1)) as pool:
        results = pool.map(partial(case_problems, labels=dataset.labels), dataset.cases)
        for done, (case, found) in enumerate(zip(dataset.cases, results, strict=True), start=1):
            problems += found
            if progress is not None:
                progress(done, len(dataset.cases), case.id)
    if problems:
        raise InputError(problems, heading=f"data set {dataset.name!r} cannot be used as it is:")


def case_problems(case: Case, labels: LabelTable) -> list[str]:
    """What is wrong with one case's files; empty when nothing is."""
    problems: list[str] = []
    image = _read(read_volume, case.image, problems)
    if image is not None:
        problems += _value_problems(case, image)
    if case.role == "unlabelled":
        return problems
    if case.label is None:
        if case.role is not None:
            problems.append(f"{case.image}: is a {case.role} case without a label file.")
        return problems
    label = _read(lambda _: read_case_label(case, labels), case.label, problems)
    if label is not None:
        try:
            labels.encode(label.array, case.label)
        except InputError as error:
            problems += error.problems
    if image is not None and label is not None:
        problems += _grid_problems(case, image, label)
    return problems


def _read(reader: Callable[..., Volume], path: Path, problems: list[str]) -> Volume | None:
    try:
        return reader(path)
    except InputError as error:
        problems += error.problems
        return None


def _value_problems(case: Case, image: Volume) -> list[str]:
    lowest, highest = float(image.array.min()), float(image.array.max())
    if np.isfinite(lowest) and np.isfinite(highest):
        if lowest < highest:
            return []
        return [
            f"{case.image}: every voxel has the value {lowest:g}; an image was expected. "
            "Export it again or leave the case out."
        ]
    count = image.array.size - int(np.isfinite(image.array).sum())
    return [
        f"{case.image}: {count} voxels ({count / image.array.size:.2%}) are NaN or infinite; "
        "finite numbers were expected. Replace them (for CT with -1024, air) or leave the case out."
    ]


def _grid_problems(case: Case, image: Volume, label: Volume) -> list[str]:
    if image.shape != label.shape:
        return [
            f"{case.label}: has {_size(label)} voxels (z, y, x), its image {case.image} "
            f"{_size(image)}; equal sizes were expected. Resample the label onto the image's grid."
        ]
    distance = image.geometry.corner_distance_mm(label.geometry)
    if distance <= TOLERANCE_MM:
        return []
    return [
        f"{case.label}: lies up to {distance:.1f} mm away from its image {case.image} "
        f"({_grid(label)} against {_grid(image)}); at most {TOLERANCE_MM} mm was expected. "
        "Resample the label onto the image's grid, or correct the header that is wrong."
    ]


def _size(volume: Volume) -> str:
    return " x ".join(map(str, volume.shape))


def _grid(volume: Volume) -> str:
    spacing = " x ".join(f"{mm:.4g}" for mm in volume.spacing_mm)
    origin = ", ".join(f"{mm:.5g}" for mm in volume.affine[:3, 3])
    return f"{spacing} mm {volume.geometry.orientation} from ({origin})"
