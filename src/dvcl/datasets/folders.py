"""Plain folders, one per role: nothing to rename, no fake label files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np

from dvcl.datasets.check import case_problems
from dvcl.datasets.dataset import Case, Dataset, LabelTable, Modality, Role
from dvcl.datasets.label_file import MAX_ORGANS, read_label_table
from dvcl.datasets.pairing import contents, duplicate_ids, paired_cases, unlabelled_cases
from dvcl.errors import InputError
from dvcl.volume import read_label


def load_folders(
    labelled: Path,
    unlabelled: Sequence[Path] = (),
    validation: Path | None = None,
    test: Path | None = None,
    labels: Path | None = None,
    modality: Modality = "CT",
    name: str = "own",
) -> Dataset:
    """Find the cases of a study kept in plain folders.

    Args:
        labelled: Folder with images/ and labels/; a label has the name of its image ("X_0000" may
            have the label "X").
        unlabelled: Folders of images, or with images/. Labels are never looked for there.
        validation: As ``labelled``.
        test: As ``labelled``.
        labels: JSON file, {"1": "liver"} or {"liver": 1}. Without it the integers found in the
            label maps become the table ("label 1"), which reads them all.
        modality: "CT" or "MR".
        name: Name of the data set in reports.

    Raises:
        InputError: With everything that is missing, left over or double, in all folders at once.
    """
    problems: list[str] = []
    if modality not in get_args(Modality):
        problems.append(f"modality: {modality!r}; expected CT or MR.")
    cases = _labelled(Path(labelled), "labelled", problems)
    for folder in unlabelled:
        cases += unlabelled_cases(_images(Path(folder)), problems)
    if validation is not None:
        cases += _labelled(Path(validation), "validation", problems)
    if test is not None:
        cases += _labelled(Path(test), "test", problems)
    problems += duplicate_ids(cases)
    table = _table(cases, labels, problems)
    if table is None or problems:
        raise InputError(problems, heading=f"data set {name!r} cannot be used as it is:")
    return Dataset(name, modality, tuple(cases), table)


def _labelled(folder: Path, role: Role, problems: list[str]) -> list[Case]:
    expected = f"the {role} cases were expected there, in images/ and labels/"
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "no such folder"
        problems.append(f"{folder}: {found}; {expected}. Check the path.")
        return []
    if not (folder / "images").is_dir() and not (folder / "labels").is_dir():
        problems.append(
            f"{folder}: holds neither, found {contents(folder)}; {expected}. Sort the files into "
            "these two folders, or give images without labels as unlabelled ones."
        )
        return []
    return paired_cases(folder / "images", folder / "labels", role, problems)


def _images(folder: Path) -> Path:
    return folder / "images" if (folder / "images").is_dir() else folder


def _table(cases: list[Case], labels: Path | None, problems: list[str]) -> LabelTable | None:
    try:
        if labels is not None:
            return read_label_table(Path(labels))
        # Reading every label map takes a while: not before the rest is in order.
        return None if problems else _table_of_values(cases)
    except InputError as error:
        problems += error.problems
        return None


def _table_of_values(cases: list[Case]) -> LabelTable:
    values: set[int] = set()
    are_readable = True
    for case in cases:
        if case.label is None:
            continue
        try:
            values.update(np.unique(read_label(case.label).array).tolist())
        except InputError:
            are_readable = False
    if are_readable and not values - {0}:
        raise InputError("the label maps hold nothing but background (0); organs were expected.")
    if len(values - {0}) > MAX_ORGANS:
        raise InputError(
            f"the label maps hold {len(values)} different integers, from {min(values)} to "
            f"{max(values)}; at most {MAX_ORGANS} organs were expected. Are they images?"
        )
    table = LabelTable.from_mapping({value: f"label {value}" for value in values - {0} or {1}})
    if not are_readable:
        # Without a table no check can follow: list here what it would find in all other files.
        raise InputError([problem for case in cases for problem in case_problems(case, table)])
    return table
