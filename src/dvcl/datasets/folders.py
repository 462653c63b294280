"""Plain folders, one per role: nothing to rename, no fake label files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from dvcl.datasets.checks import case_problems
from dvcl.datasets.dataset import Case, Dataset, LabelTable, Modality, Role
from dvcl.datasets.label_file import read_label_table
from dvcl.datasets.masks import has_masks, masks_of, table_of_masks
from dvcl.datasets.pairing import (
    archive_notes,
    are_case_folders,
    case_folders,
    contents,
    duplicate_ids,
    paired_cases,
    unlabelled_cases,
)
from dvcl.datasets.predicted import as_made
from dvcl.datasets.segments import present_segments, table_of_segments
from dvcl.errors import InputError
from dvcl.volume import Segment

LABEL_FILE = "labels.json"


def load_folders(
    labelled: Path,
    unlabelled: Sequence[Path] = (),
    validation: Path | None = None,
    test: Path | None = None,
    labels: Path | None = None,
    modality: Modality = "CT",
    name: str | None = None,
    *,
    partial: bool = False,
    overlaps: bool = False,
    label_values: bool = False,
) -> Dataset:
    """Find the cases of a study kept in plain folders.

    Args:
        labelled: Folder with images/ and labels/; a label has the name of its image ("X_0000" may
            have the label "X"), and is a file or a folder with one mask per organ. Or a folder of
            CASE/<image> and CASE/segmentations/. With a pseudo-labels.json in it, as `dvcl sheet`
            exports, its cases are marked as pseudo-labels.
        unlabelled: Folders of images, or with images/. Labels are never looked for there.
        validation: As ``labelled``.
        test: As ``labelled``.
        labels: JSON file, {"1": "liver"} or {"liver": 1}; without it the one that `label_file_near`
            finds. Where there is none the segments found in the label maps become the table, by
            their names or as "label 1", which reads them all; with masks, the names of their files
            do. Masks whose names are not in the file are left aside.
        modality: "CT" or "MR".
        name: Name of the data set in reports; None takes that of the folder ``labelled``.
        partial: Take cases that lack masks of some organs, as not annotated there.
        overlaps: Let the later organ of the table have the voxels where masks or layers overlap.
        label_values: Trust the integers of label maps, also where these name their segments.

    Raises:
        InputError: With everything that is missing, left over or double, in all folders at once.
    """
    problems: list[str] = []
    name = name or Path(labelled).resolve().name
    if modality not in get_args(Modality):
        problems.append(f"modality: {modality!r}; expected CT or MR.")
    cases = labelled_cases(Path(labelled), "labelled", problems)
    for folder in unlabelled:
        cases += unlabelled_cases(image_folder(Path(folder)), problems)
    if validation is not None:
        cases += labelled_cases(Path(validation), "validation", problems)
    if test is not None:
        cases += labelled_cases(Path(test), "test", problems)
    problems += duplicate_ids(cases)
    cases = [
        replace(case, later_mask_wins=overlaps, label_values=label_values) if case.label else case
        for case in cases
    ]
    table = _table(cases, labels or label_file_near(Path(labelled)), problems)
    if table is not None:
        cases = [_with_masks(case, table, partial, problems) for case in cases]
    if table is None or problems:
        raise InputError(problems, heading=f"data set {name!r} cannot be used as it is:")
    return Dataset(name, modality, tuple(cases), table, tuple(archive_notes(cases)))


def label_file_near(folder: Path) -> Path | None:
    """The labels.json that lies in a folder of images/ and labels/, or beside it."""
    places = (folder / LABEL_FILE, folder.absolute().parent / LABEL_FILE)
    return next((path for path in places if path.is_file()), None)


def labelled_cases(folder: Path, role: Role, problems: list[str]) -> list[Case]:
    """The cases of images/ and labels/, or of case folders; what is wrong goes to ``problems``."""
    expected = f"the {role} cases were expected there, in images/ and labels/"
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "no such folder"
        problems.append(f"{folder}: {found}; {expected}. Check the path.")
        return []
    if not (folder / "images").is_dir() and not (folder / "labels").is_dir():
        if are_case_folders(folder):
            return as_made(folder, case_folders(folder, role, problems), problems)
        problems.append(
            f"{folder}: holds neither images/ nor labels/, found {contents(folder)}; {expected}. "
            "Sort the files into these two, or give images without labels as unlabelled ones."
        )
        return []
    cases = paired_cases(folder / "images", folder / "labels", role, problems, masks=True)
    return as_made(folder, cases, problems)


def image_folder(folder: Path) -> Path:
    """The images/ in a folder, or the folder itself."""
    return folder / "images" if (folder / "images").is_dir() else folder


def _table(cases: list[Case], labels: Path | None, problems: list[str]) -> LabelTable | None:
    try:
        if labels is not None:
            return read_label_table(Path(labels))
        # Reading every label map takes a while: not before the rest is in order.
        return None if problems else _table_of_files(cases)
    except InputError as error:
        problems += error.problems
        return None


def _table_of_files(cases: list[Case]) -> LabelTable:
    folders = [case.label for case in cases if case.label and has_masks(case)]
    maps = [case.label for case in cases if case.label and not has_masks(case)]
    if folders and maps:
        raise InputError(
            f"{maps[0]} and {len(maps) - 1} more are label maps, {folders[0]} and "
            f"{len(folders) - 1} more folders of masks; without a labels file nothing says which "
            "integer is which organ. Give it with --labels."
        )
    return table_of_masks(folders) if folders else _table_of_maps(cases)


def _with_masks(case: Case, table: LabelTable, partial: bool, problems: list[str]) -> Case:
    """Note which organs have no mask; that is a problem unless asked for."""
    if case.label is None or not has_masks(case):
        return case
    try:
        masks = masks_of(case.label)
    except InputError as error:
        problems += error.problems
        return case
    missing = tuple(organ for organ in table.organs if organ not in masks)
    if len(missing) == len(table.organs):
        problems.append(
            f"{case.label}: none of its masks ({', '.join(masks)}) has the name of an organ; "
            f"{', '.join(table.organs)} were expected. Rename the files or correct the labels file."
        )
    elif missing and not partial:
        problems.append(
            f"{case.label}: has no mask of {', '.join(missing)}; one for every organ was expected, "
            "empty where the scan does not show it. Add the masks, or take the case as partly "
            "labelled with --partial."
        )
    return replace(case, unannotated=missing)


def _table_of_maps(cases: list[Case]) -> LabelTable:
    found: dict[Path, Sequence[Segment]] = {}
    is_all = True
    for case in cases:
        if case.label is None:
            continue
        try:
            found[case.label] = present_segments(case.label, case.label_values)
        except InputError:
            is_all = False
    if is_all:
        return table_of_segments(found)
    # Without a table no check can follow: list here what it would find in all other files.
    shown = any(found.values())
    table = table_of_segments(found) if shown else LabelTable.from_mapping({1: "label 1"})
    raise InputError([problem for case in cases for problem in case_problems(case, table)])
