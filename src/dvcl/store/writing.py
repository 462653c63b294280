"""Writing one prepared case: whole or not at all, and not again while its sources are the same."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import scipy
import torch

from dvcl.datasets.checks.grids import pair_findings
from dvcl.datasets.dataset import Case, LabelTable
from dvcl.datasets.masks import case_masks, has_masks, named_segments, read_case_label
from dvcl.errors import InputError
from dvcl.files import (
    PARTIAL,
    crc32_of_bytes,
    read_json,
    sha256_of_bytes,
    sha256_of_json,
    write_atomically,
    write_json,
)
from dvcl.leaks.fingerprint import fingerprint_scan
from dvcl.preprocessing.geometry import Grid
from dvcl.preprocessing.prepare import Preprocessing, prepare_image, prepare_label
from dvcl.store.reading import StoredCase
from dvcl.volume import read_volume, source_files

VOXELS_PER_ORGAN = 1000


@dataclass(frozen=True)
class CaseTask:
    """One case to prepare; plain values, so that a worker process can take it.

    Attributes:
        case: The raw case.
        labels: Meaning of its label integers.
        settings: Of the preparation.
        folder: The store's folder; the case's own lies in it.
        identity: What distinguishes the store from others.
    """

    case: Case
    labels: LabelTable
    settings: Preprocessing
    folder: Path
    identity: dict[str, Any]

    @property
    def label(self) -> Path | None:
        """The label file; None for unlabelled cases, whatever files lie beside them."""
        return None if self.case.role == "unlabelled" else self.case.label

    @property
    def target(self) -> Path:
        """The case's folder."""
        return self.folder / self.case.id

    def record(self) -> dict[str, Any]:
        """Hash the sources, and the label values of a labelled case; volumes are not decoded.

        Raises:
            InputError: When a file cannot be read.
        """
        record: dict[str, Any] = {
            "id": self.case.id,
            "image": str(self.case.image.absolute()),
            "label": str(self.label.absolute()) if self.label else None,
            "image_sha256": _volume_hash(self.case.image),
            "label_sha256": self._label_hash(self.label) if self.label else None,
        }
        parts = [self.identity, record["image_sha256"], record["label_sha256"]]
        # The class of an organ is the place of its value; names do not enter the arrays.
        parts.append(list(self.labels.values) if self.label else None)
        if self.label and self.case.unannotated:
            shown = [name not in self.case.unannotated for name in self.labels.names]
            record["annotated"] = shown
            parts.append(shown)
        if self.label and named_segments(self.case):
            # Here names do: they say which segment is which class.
            parts.append([list(self.labels.names), self.case.later_mask_wins])
        return {"key": sha256_of_json(parts), **record}

    def _label_hash(self, label: Path) -> str:
        if not has_masks(self.case):
            return _volume_hash(label)
        # The name of a mask says which class it is.
        masks = case_masks(self.case, self.labels)
        hashes = [[organ, _volume_hash(path)] for organ, path in masks.items()]
        return sha256_of_json([*hashes, self.case.later_mask_wins])

    def is_finished(self) -> bool:
        """Whether the case's folder was made of the same files and settings, and is undamaged.

        Raises:
            InputError: When a source file cannot be read.
        """
        record = self.record()
        stored = self._stored_record()
        if stored.get("key") != record["key"] or not self._is_undamaged():
            return False
        # Cases of earlier versions have none; from now on damage to them is found too.
        record["checksums"] = stored.get("checksums") or _checksums(self.target)
        if any(stored.get(k) != record[k] for k in record):
            # The same bytes lie elsewhere now: the stored voxels hold, only the paths are new.
            write_json(self.target / "case.json", {**stored, **record})
        return True

    def _is_undamaged(self) -> bool:
        with suppress(InputError):
            StoredCase(self.target, self.labels.classes).check()
            return True
        return False

    def _stored_record(self) -> dict[str, Any]:
        """What case.json says; nothing if it is missing or damaged, so that it is made anew."""
        try:
            stored = read_json(self.target / "case.json")
        except InputError:
            return {}
        return stored if isinstance(stored, dict) else {}


def write_case(task: CaseTask) -> None:
    """Prepare one case and put its folder in place.

    Raises:
        InputError: When a file is unreadable, constant, not finite, or image and label disagree.
    """
    partial = task.folder / f"{PARTIAL}{task.case.id}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        # Hashed first: a file that changes while it is read is then redone by the next build.
        record = {**task.record(), **_write_image(task, partial)}
        if task.label:
            _write_label(task, Grid.from_json(record["grid"]), partial)
        record["checksums"] = _checksums(partial)
        record["versions"] = {m.__name__: str(m.__version__) for m in (nibabel, np, scipy, torch)}
        write_json(partial / "case.json", record)
        _replace_folder(partial, task.target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


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


def _checksums(folder: Path) -> dict[str, int]:
    return {path.name: crc32_of_bytes(path) for path in sorted(folder.glob("*.npy"))}


def _replace_folder(new: Path, target: Path) -> None:
    if target.exists():
        # A folder cannot be renamed onto a full one. A case that loses its old folder here and
        # is then interrupted is simply prepared again.
        outdated = new.with_name(f"{new.name}-outdated")
        shutil.rmtree(outdated, ignore_errors=True)
        os.replace(target, outdated)
        os.replace(new, target)
        shutil.rmtree(outdated)
    else:
        os.replace(new, target)


def _volume_hash(path: Path) -> str:
    """Hash the bytes of a file, or of all files that a volume consists of, whatever their names."""
    try:
        hashes = [sha256_of_bytes(file) for file in source_files(path)]
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); a volume was expected there."
        ) from error
    return hashes[0] if len(hashes) == 1 else sha256_of_json(hashes)
