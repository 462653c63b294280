"""Labels as a folder with one mask per organ, as TotalSegmentator writes them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dvcl.datasets.dataset import Case, LabelTable
from dvcl.datasets.label_file import MAX_ORGANS
from dvcl.datasets.segments import overlap_in_words, read_named_label
from dvcl.errors import InputError
from dvcl.volume import (
    Geometry,
    Segment,
    Volume,
    is_volume,
    read_geometry,
    read_label,
    read_segments,
    volume_stem,
)
from dvcl.volume.names import is_dicom_label
from dvcl.volume.turning import turned_like

MASK_FOLDER = "segmentations"
TOLERANCE_MM = 0.5  # between the corners of the masks' grids
LISTED = 5


def mask_folder(path: Path) -> Path | None:
    """The folder itself or the segmentations/ in it, whichever holds masks; else None."""
    for folder in (path / MASK_FOLDER, path):
        if folder.is_dir() and any(_mask_files(folder)):
            return folder
    return None


def masks_of(folder: Path) -> dict[str, Path]:
    """{organ: file}, sorted by organ; the names of the files are the organs.

    Raises:
        InputError: When two files are masks of one organ; lists all such.
    """
    masks: dict[str, Path] = {}
    problems = []
    for path in _mask_files(folder):
        organ = unicodedata.normalize("NFC", volume_stem(path))
        if organ in masks:
            problems.append(
                f"{path}: {masks[organ].name} is a mask of the same organ; one file per organ was "
                "expected. Remove one of them."
            )
        masks.setdefault(organ, path)
    if problems:
        raise InputError(problems)
    return dict(sorted(masks.items()))


def table_of_masks(folders: Sequence[Path]) -> LabelTable:
    """Number the organs of all folders from 1 on, in the order of their names.

    Raises:
        InputError: When there are too many, or a folder has two masks of one organ.
    """
    organs = sorted({organ for folder in folders for organ in masks_of(folder)})
    if len(organs) > MAX_ORGANS:
        raise InputError(
            f"the masks have {len(organs)} different names; at most {MAX_ORGANS} organs were "
            "expected. Name those that you want in a labels file."
        )
    return LabelTable.from_mapping(dict(enumerate(organs, start=1)))


def read_case_label(case: Case, labels: LabelTable, grid: Geometry | None = None) -> Volume:
    """Read the label map of a case as int32, with the integers of ``labels``.

    Of a folder of masks those are read whose names are in ``labels``; an organ without a mask is
    background. Segments that a file names are taken by their names.

    Args:
        case: With a label.
        labels: Meaning of the integers.
        grid: Of the image: the label map is turned to the order and direction of its axes.

    Raises:
        InputError: As `read_label`; also with all masks of another grid or of several values, with
            all segments of unknown names, and with all organs that overlap, unless the later one in
            ``labels`` shall win.
    """
    assert case.label is not None, f"{case.id} has no label"
    if has_masks(case):
        label = _merged_masks(case, labels)
    elif segments := named_segments(case):
        # A DICOM segmentation leaves slices without organs out: the image says where it ends.
        place = (grid or read_geometry(case.image)) if is_dicom_label(case.label) else None
        label = read_named_label(case.label, segments, labels, case.later_mask_wins, place)
    else:
        label = read_label(case.label)
    return label if grid is None else turned_like(label, grid)


def named_segments(case: Case) -> tuple[Segment, ...]:
    """The segments that the label map of a case names; none where its integers are to count.

    Those of a DICOM segmentation, which has no other form, have no name then.

    Raises:
        InputError: As `read_segments`.
    """
    if case.label is None or has_masks(case):
        return ()
    if not case.label_values:
        return read_segments(case.label)
    numbered = read_segments(case.label) if is_dicom_label(case.label) else ()
    return tuple(replace(segment, name="") for segment in numbered)


def _merged_masks(case: Case, labels: LabelTable) -> Volume:
    merged: Volume | None = None
    problems: list[str] = []
    names = dict(zip(labels.values, labels.names, strict=True))
    for organ, path in case_masks(case, labels).items():
        try:
            mask = read_label(path)
            if merged is None:
                merged = Volume(np.zeros(mask.shape, dtype=np.int32), mask.affine, mask.forms)
            mask = turned_like(mask, merged.geometry)
            inside = _inside(mask, path)
            _check_grid(mask, merged, path)
        except InputError as error:
            problems += error.problems
            continue
        there = merged.array[inside]
        if not case.later_mask_wins:
            problems += _overlaps(there, organ, names, path)
        merged.array[inside] = labels.values[labels.names.index(organ)]
    if problems or merged is None:
        raise InputError(problems or f"{case.label}: has no mask of {', '.join(labels.organs)}.")
    return merged


def has_masks(case: Case) -> bool:
    """Whether the label of a case is a folder with one mask per organ."""
    return case.label is not None and holds_masks(case.label)


def holds_masks(label: Path) -> bool:
    """Whether a label is a folder of masks, and not a label map or its DICOM slices."""
    return label.is_dir() and not is_volume(label)


def case_masks(case: Case, labels: LabelTable) -> dict[str, Path]:
    """{organ: file} of the masks that count, in the order of the classes.

    Raises:
        InputError: As `masks_of`.
    """
    assert case.label is not None, f"{case.id} has no label"
    masks = masks_of(case.label)
    return {organ: masks[organ] for organ in labels.organs if organ in masks}


def _mask_files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if path.is_file() and is_volume(path))


def _inside(mask: Volume, path: Path) -> np.ndarray:
    inside = mask.array != 0
    values = mask.array[inside]
    if values.size and values.min() != values.max():
        found = ", ".join(map(str, np.unique(values)[:LISTED]))
        raise InputError(
            f"{path}: holds the values {found}; 0 and one other value were expected in the mask of "
            "one organ. Give a label map of several organs as one file, labels/CASE.nii.gz."
        )
    return inside


def _check_grid(mask: Volume, first: Volume, path: Path) -> None:
    if mask.shape != first.shape:
        raise InputError(
            f"{path}: has {_size(mask)} voxels (z, y, x), the masks before it {_size(first)}; "
            "equal sizes were expected. Resample the mask onto the image's grid."
        )
    distance_mm = mask.geometry.corner_distance_mm(first.geometry)
    if distance_mm > TOLERANCE_MM:
        raise InputError(
            f"{path}: lies up to {distance_mm:.1f} mm away from the masks before it; at most "
            f"{TOLERANCE_MM} mm was expected. Resample the mask onto the image's grid."
        )


def _size(volume: Volume) -> str:
    return " x ".join(map(str, volume.shape))


def _overlaps(there: np.ndarray, organ: str, names: dict[int, str], path: Path) -> list[str]:
    values, counts = np.unique(there[there != 0], return_counts=True)
    return [
        overlap_in_words(path, count, names[value], organ)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True)
    ]
