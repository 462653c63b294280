"""Writing one prepared case: whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import scipy
import torch

from dvcl.datasets.checks.grids import pair_findings
from dvcl.datasets.masks import read_case_label
from dvcl.errors import InputError
from dvcl.files import write_atomically, write_json
from dvcl.leaks.fingerprint import fingerprint_scan
from dvcl.preprocessing.geometry import Grid
from dvcl.preprocessing.prepare import prepare_image, prepare_label
from dvcl.store.reuse import take_image
from dvcl.store.task import CaseTask, being_written, checksums
from dvcl.volume import read_volume

VOXELS_PER_ORGAN = 1000


def write_case(task: CaseTask) -> None:
    """Prepare one case and put its folder in place.

    Raises:
        InputError: When a file is unreadable, constant, not finite, or image and label disagree.
    """
    # Hashed first: a file that changes while it is read is then redone by the next build.
    record = task.record()
    with being_written(task) as partial:
        record |= take_image(task, record, partial) or _write_image(task, partial)
        if task.label:
            _write_label(task, Grid.from_json(record["grid"]), partial)
        record["checksums"] = checksums(partial)
        record["versions"] = {m.__name__: str(m.__version__) for m in (nibabel, np, scipy, torch)}
        write_json(partial / "case.json", record)


def quantise(image: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Store a float image in 16 bits: image = integers * scale + offset, off by scale / 2 at most.

    Args:
        image: float32, not constant.

    Returns:
        int16 of the same shape, scale, offset.
    """
    low, high = float(image.min()), float(image.max())
    scale = (high - low) / 65535
    offset = low + 32768 * scale
    integers = np.empty(image.shape, dtype=np.int16)
    # Slice by slice: no second float image, and what lies between stays in the processor's cache.
    for part, target in zip(image, integers, strict=True):
        steps = (part - np.float32(offset)) / np.float32(scale)
        np.clip(np.rint(steps, out=steps), -32768, 32767, out=steps)
        target[...] = steps
    return integers, scale, offset


def choose_organ_voxels(label: np.ndarray, limit: int = VOXELS_PER_ORGAN) -> np.ndarray:
    """List places of every organ, evenly over its voxels in array order.

    Args:
        label: Class indices (D, H, W).
        limit: Places per organ at most.

    Returns:
        int32 (n, 4), rows (class, d, h, w), by class.
    """
    foreground = np.flatnonzero(label != 0)  # three times as fast as of bytes
    classes = label.ravel()[foreground]
    sizes = np.bincount(classes)
    # Stable: the places of an organ stay in array order.
    by_class = np.split(foreground[np.argsort(classes, kind="stable")], np.cumsum(sizes)[:-1])
    chosen = []
    for places in by_class:
        count = min(limit, len(places))
        chosen.append(places[np.arange(count) * len(places) // max(count, 1)])
    places = np.concatenate(chosen)
    rows = np.stack([label.ravel()[places], *np.unravel_index(places, label.shape)], axis=1)
    return rows.astype(np.int32)


def _write_image(task: CaseTask, folder: Path) -> dict[str, Any]:
    # In the file's own dtype: half the memory of float32 for the usual 16-bit scan.
    volume = read_volume(task.case.image, dtype=None)  # type: ignore[arg-type]
    try:
        image, grid = prepare_image(volume, task.settings)
    except InputError as error:
        raise InputError(f"{task.case.image}: {error}") from error
    fingerprint = fingerprint_scan(volume)
    del volume
    integers, scale, offset = quantise(image)
    _save(folder / "image.npy", integers)
    return {
        **fingerprint.to_json(),
        "scale": scale,
        "offset": offset,
        "grid": grid.to_json(),
    }


def _write_label(task: CaseTask, grid: Grid, folder: Path) -> None:
    assert task.label is not None
    raw = read_case_label(task.case, task.labels, grid.source)
    unfit = list(pair_findings(task.case.image, grid.source, task.label, raw.geometry))
    if unfit:
        raise InputError([finding.problem for finding in unfit])
    classes = task.labels.encode(raw.array, task.label)
    del raw
    label = prepare_label(classes, grid, task.settings.label_interpolation)
    _save(folder / "label.npy", label)
    _save(folder / "organ_voxels.npy", choose_organ_voxels(label))


def _save(path: Path, array: np.ndarray) -> None:
    with write_atomically(path) as temporary:
        np.save(temporary, array)
