"""The raw layout of nnU-Net and of the Medical Segmentation Decathlon."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dvcl.datasets.case_list import listed_cases, unused_notes
from dvcl.datasets.channels import CHANNEL_SUFFIX
from dvcl.datasets.dataset import Case, Dataset, LabelTable, Modality
from dvcl.datasets.label_file import parse_label_table
from dvcl.datasets.pairing import (
    archive_notes,
    duplicate_ids,
    paired_cases,
    unlabelled_cases,
)
from dvcl.datasets.predicted import as_made
from dvcl.errors import InputError, counted
from dvcl.files import read_json
from dvcl.volume import VOLUME_SUFFIXES, volume_stem


def load_nnunet(folder: Path, modality: Modality | None = None) -> Dataset:
    """Read imagesTr/X_0000.nii.gz, labelsTr/X.nii.gz, imagesTs and dataset.json.

    Training cases have no role, the split divides them; with a pseudo-labels.json, as `dvcl sheet`
    exports, they are marked and for training alone. imagesTs are unlabelled, or the test cases
    where there is a labelsTs. The channel name "CT" means CT, every other one MR. Images without
    "_0000" (Decathlon) are taken as well.

    Where dataset.json lists its training cases these alone are taken, otherwise all volumes with
    its file_ending; the notes of the data set say what lies beside them.

    Args:
        folder: With dataset.json.
        modality: Instead of what the channel name says.

    Raises:
        InputError: With everything that is missing, left over or double, several channels, label
            regions, and an ignore label.
    """
    folder = Path(folder)
    absent = "Copy it from where the scans are from, name another --layout, or give plain folders."
    description = read_json(folder / "dataset.json", absent=absent)
    if not isinstance(description, dict):
        raise InputError(f"{folder / 'dataset.json'}: holds no JSON object with labels.")
    problems: list[str] = []
    found = _modality(description, folder / "dataset.json", problems)
    table = _table(description, folder / "dataset.json", problems)
    cases, notes = _training_cases(description, folder, problems)
    problems += _count_problem(description, len(cases), folder)
    cases = as_made(folder, cases, problems)
    if _has_entries(folder / "imagesTs"):
        cases += _test_images(folder, cases, problems)
    problems += duplicate_ids(cases)
    if table is None or problems:
        raise InputError(problems, heading=f"data set {folder.name!r} cannot be used as it is:")
    notes += archive_notes(cases)
    return Dataset(folder.resolve().name, modality or found, tuple(cases), table, tuple(notes))


def _training_cases(
    description: dict[str, Any], folder: Path, problems: list[str]
) -> tuple[list[Case], list[str]]:
    """The cases, and notes on what lies beside them."""
    folders = folder / "imagesTr", folder / "labelsTr"
    already = len(problems)
    cases = listed_cases(description, folder / "dataset.json", problems)
    if cases or len(problems) > already:
        return cases, unused_notes(folders, cases, "are not in the list of dataset.json")
    ending = description.get("file_ending", "")
    ending = ending if ending in VOLUME_SUFFIXES else ""  # the others are refused already
    cases = paired_cases(*folders, None, problems, ending=ending)
    return cases, unused_notes(folders, cases, f"do not end with {ending!r}") if cases else []


def _modality(description: dict[str, Any], source: Path, problems: list[str]) -> Modality:
    channels = description.get("channel_names", description.get("modality"))
    if not isinstance(channels, dict) or len(channels) != 1:
        problems.append(
            f"{source}: the channel_names are {channels!r}; exactly one channel was expected, as "
            '{"0": "CT"}. Make a data set of one channel.'
        )
        return "MR"
    return "CT" if str(*channels.values()).casefold() == "ct" else "MR"


def _table(description: dict[str, Any], source: Path, problems: list[str]) -> LabelTable | None:
    ending = description.get("file_ending", ".nii.gz")
    if ending not in VOLUME_SUFFIXES:
        problems.append(
            f"{source}: the file_ending is {ending!r}; {' or '.join(VOLUME_SUFFIXES)} was "
            "expected. Convert the volumes."
        )
    try:
        table = parse_label_table(description.get("labels"), source)
    except InputError as error:
        problems += error.problems
        return None
    if "ignore" in table.organs:
        problems.append(
            f"{source}: has an 'ignore' label; labels of every voxel were expected. "
            "Leave out the partly labelled cases, or use their images as unlabelled ones."
        )
    return table


def _count_problem(description: dict[str, Any], found: int, folder: Path) -> list[str]:
    expected = description.get("numTraining", found)
    if not found or expected == found:
        return []
    return [
        f"{folder / 'imagesTr'}: {counted(found, 'image')} {'has' if found == 1 else 'have'} "
        f"labels; {expected} were expected (numTraining in dataset.json). Copy the missing files, "
        "or correct the number."
    ]


def _test_images(folder: Path, training: list[Case], problems: list[str]) -> list[Case]:
    images = folder / "imagesTs"
    if (folder / "labelsTs").is_dir():
        return paired_cases(images, folder / "labelsTs", "test", problems)
    cases = unlabelled_cases(images, problems)
    if any(volume_stem(case.image) != case.id for case in training):
        problems += [
            f"{case.image}: does not end with {CHANNEL_SUFFIX!r} as the training images do; one "
            "channel per case was expected. Rename or remove it."
            for case in cases
            if not volume_stem(case.image).endswith(CHANNEL_SUFFIX)
        ]
    return cases


def _has_entries(folder: Path) -> bool:
    # nnU-Net users often leave an empty imagesTs.
    return folder.is_dir() and any(folder.iterdir())
