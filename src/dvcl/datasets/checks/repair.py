"""Corrected copies of what can be corrected without guessing; sources are never touched."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dvcl.datasets.checks.cases import CaseReport
from dvcl.datasets.checks.finding import Finding
from dvcl.datasets.checks.grids import NEGLIGIBLE_MM, TOLERANCE_MM, right_angled
from dvcl.datasets.dataset import LabelTable
from dvcl.datasets.masks import has_masks
from dvcl.files import write_atomically
from dvcl.volume import Geometry, Volume, read_label, read_volume, source_files, write_volume
from dvcl.volume.turning import turned_like

# Writing a file anew is all that these need: the axes at right angles, both transforms equal, three
# axes, whole numbers, the axes of the image.
BY_WRITING = {
    "slightly-sheared": "axes made right-angled",
    "forms-differ": "qform made equal to the sform",
    "fourth-axis": "axes of length 1 dropped",
    "label-rounded": "values rounded to whole numbers",
    "label-alias": "stray values replaced by those that they are read as",
    "axes-differ": "axes turned to those of its image",
}
# With these a case is of no use, whatever its other files are like.
SPOILING = {
    *("unreadable", "no-label", "constant", "label-values", "label-is-image"),
    *("size-mismatch", "grid-mismatch", "sheared", "not-finite"),
}


@dataclass(frozen=True)
class RepairOptions:
    """What may be changed beyond what is certainly right.

    Attributes:
        fill_nan: Give NaN and infinite voxels the least finite value of the image.
        tolerance_mm: A label of the image's size gets its grid if corners are nearer than this.
    """

    fill_nan: bool = False
    tolerance_mm: float = TOLERANCE_MM


@dataclass(frozen=True)
class Repair:
    """What became of one case.

    Attributes:
        case: Id.
        changes: One line per change, naming the file.
        left: Findings for which the case was left out; empty where it was written.
    """

    case: str
    changes: tuple[str, ...] = ()
    left: tuple[Finding, ...] = ()


def repair_case(
    report: CaseReport, folder: Path, options: RepairOptions, labels: LabelTable
) -> Repair:
    """Write a case to ``folder``/images and /labels, corrected where needed, else copied.

    A case that stays unusable is not written.
    """
    case = report.case
    label = None if case.role == "unlabelled" else case.label
    curable = _curable(report, options)
    spoilt = tuple(f for f in report.findings if f.code in SPOILING and f.code not in curable)
    if spoilt or report.geometry is None:
        return Repair(case.id, left=spoilt)
    changes = _image_changes(report, curable)
    grid = _corrected_grid(report, report.geometry)
    _write_image(report, folder / "images" / case.image.name, changes, grid)
    if label is not None:
        told = _write_label(report, label, folder / "labels" / label.name, grid, options, labels)
        changes += [f"{label}: {line}" for line in told]
    return Repair(case.id, tuple(changes))


def _curable(report: CaseReport, options: RepairOptions) -> set[str]:
    curable = {"not-finite"} if options.fill_nan else set()
    distances = [f.numbers["distance_mm"] for f in report.findings if f.code == "grid-mismatch"]
    # The grid of masks is that of many files, each with a header of its own.
    if distances and max(distances) <= options.tolerance_mm and not has_masks(report.case):
        curable.add("grid-mismatch")
    return curable


def _image_changes(report: CaseReport, curable: set[str]) -> list[str]:
    image = report.case.image
    codes = [f.code for f in report.findings if f.where == str(image)]
    changes = [BY_WRITING[code] for code in codes if code in BY_WRITING]
    if "not-finite" in codes and "not-finite" in curable:
        changes.append("NaN and infinite voxels set to the least finite value")
    return [f"{image}: {change}" for change in changes]


def _corrected_grid(report: CaseReport, grid: Geometry) -> Geometry:
    if _has(report, report.case.image, "slightly-sheared"):
        return right_angled(grid)
    return replace(grid, forms=None) if _has(report, report.case.image, "forms-differ") else grid


def _write_image(report: CaseReport, target: Path, changes: Sequence[str], grid: Geometry) -> None:
    image = report.case.image
    if not changes:
        copy_volume(image, target)
        return
    volume = read_volume(image, dtype=None)  # type: ignore[arg-type]
    array = _filled(volume.array)
    write_volume(target, Volume(_compact(array), grid.affine, grid.forms))


def _write_label(
    report: CaseReport,
    label: Path,
    target: Path,
    grid: Geometry,
    options: RepairOptions,
    labels: LabelTable,
) -> list[str]:
    """Copy or correct the label map; it lies on its image's new grid afterwards."""
    codes = {f.code for f in report.findings if f.where == str(label)}
    changes = [text for code, text in BY_WRITING.items() if code in codes]
    if has_masks(report.case):
        copy_volume(label, target)
        return []
    volume = turned_like(read_label(label), grid)
    distance = grid.corner_distance_mm(volume.geometry)
    if distance > NEGLIGIBLE_MM and distance <= max(options.tolerance_mm, TOLERANCE_MM):
        changes.append(f"given the grid of its image, {distance:.3g} mm away at the corners")
    if not changes:
        copy_volume(label, target)
        return []
    array = labels.decode(labels.encode(volume.array, label))
    write_volume(target, Volume(_smallest(array), grid.affine, grid.forms))
    return changes


def copy_volume(source: Path, target: Path) -> None:
    """Copy all files of a volume, or a folder of them, whole or not at all."""
    if source.is_dir():
        partial = target.with_name(f".partial-{target.name}")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(source, partial)
        os.replace(partial, target)
        return
    for file in source_files(source):
        with write_atomically(target.parent / file.name) as temporary:
            shutil.copyfile(file, temporary)


def _has(report: CaseReport, path: Path, code: str) -> bool:
    return any(f.code == code and f.where == str(path) for f in report.findings)


def _filled(array: np.ndarray) -> np.ndarray:
    finite = np.isfinite(array)
    return array if finite.all() else np.where(finite, array, array[finite].min())


def _compact(array: np.ndarray) -> np.ndarray:
    """Scaled headers give float64: 16 bits hold whole numbers, and float32 all others."""
    if array.dtype != np.float64:
        return array
    limits = np.iinfo(np.int16)
    is_whole = bool((array == np.rint(array)).all())
    if is_whole and limits.min <= array.min() and array.max() <= limits.max:
        return array.astype(np.int16)
    return array.astype(np.float32)


def _smallest(array: np.ndarray) -> np.ndarray:
    """Label integers in the smallest type that all programs read."""
    for kind in (np.uint8, np.int16, np.uint16):
        if np.iinfo(kind).min <= array.min() and array.max() <= np.iinfo(kind).max:
            return array.astype(kind)
    return array
