"""Which data set a command is about: plain folders, or one folder in a known layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dvcl.datasets import LAYOUTS, load_folders
from dvcl.datasets.addition import beside, load_addition
from dvcl.datasets.dataset import Dataset, Modality
from dvcl.errors import InputError


def find_dataset(
    labelled: Path | None = None,
    unlabelled: Sequence[Path] = (),
    validation: Path | None = None,
    test: Path | None = None,
    labels: Path | None = None,
    *,
    data: Path | None = None,
    layout: str = "nnunet",
    modality: Modality | None = None,
    name: str | None = None,
    partial: bool = False,
    overlaps: bool = False,
    label_values: bool = False,
) -> Dataset:
    """Find the cases of either plain folders or one folder in a known layout.

    Args:
        labelled: As the other four, see `load_folders`.
        unlabelled: Folders.
        validation: Folder.
        test: Folder.
        labels: JSON file.
        data: One folder instead, which says itself what each case is for.
        layout: Of ``data``, a key of `LAYOUTS`.
        modality: "CT" or "MR"; None takes CT for plain folders, and for others what they say.
        name: Of the data set, in reports; None takes that of the folder ``labelled``, or the
            layout's choice.
        partial: For plain folders with one mask per organ, as in `load_folders`.
        overlaps: Likewise.
        label_values: Trust the integers of label maps, also where these name their segments.

    Raises:
        InputError: When neither or both are given, the layout is unknown, or as the loaders.
    """
    if labelled is not None and data is not None:
        raise InputError(
            f"which scans? --labelled {labelled} and --data {data} found; one of both was expected."
        )
    if labelled is None and data is None:
        others = {"--unlabelled": unlabelled, "--validation": validation, "--test": test}
        given = " and ".join(option for option, folders in others.items() if folders)
        raise InputError(
            f"which scans? {f'{given} alone' if given else 'none'} found; labelled ones were "
            "expected. Give plain folders (--labelled DIR, and --unlabelled DIR beside it) or one "
            "folder in a known layout (--data DIR --layout NAME)."
        )
    if labelled is not None:
        return load_folders(
            labelled, unlabelled, validation, test, labels, modality or "CT", name,
            partial=partial, overlaps=overlaps, label_values=label_values,
        )  # fmt: skip
    assert data is not None
    if unlabelled or validation or test or labels or partial or overlaps:
        raise InputError(
            "--data takes roles and names from its folder; leave out --unlabelled, --validation, "
            "--test, --labels, --partial and --overlaps, or give plain folders with --labelled."
        )
    dataset = _in_layout(data, layout, modality, label_values)
    return dataset if name is None else dataset.named(name)


def find_addition(
    study: Dataset,
    folders: Sequence[Path],
    unlabelled: Sequence[Path] = (),
    validation: Path | None = None,
    test: Path | None = None,
    labels: Path | None = None,
    *,
    layout: str = "nnunet",
    modality: Modality | None = None,
    partial: bool = False,
    overlaps: bool = False,
    label_values: bool = False,
) -> Dataset:
    """Find the scans that are to be added to a study, as `load_addition` does.

    Args:
        study: The data set that is there.
        folders: As the next four, see `load_addition`; or one folder in a known layout, which is
            taken for such where ``layout`` is not nnunet, or it holds a dataset.json.
        unlabelled: Folders.
        validation: Folder.
        test: Folder.
        labels: JSON file.
        layout: A key of `LAYOUTS`.
        modality: Must be the study's, where it is given.
        partial: As in `load_addition`.
        overlaps: Likewise.
        label_values: Trust the integers of label maps, also where these name their segments.

    Raises:
        InputError: When options do not go together, or as the loaders.
    """
    if modality and modality != study.modality:
        raise InputError(
            f"--modality: {modality} found, {study.modality} expected, that of the study. Prepare "
            "these scans as a study of their own."
        )
    layouts = [f for f in folders if layout != "nnunet" or (f / "dataset.json").exists()]
    if not layouts:
        return load_addition(
            study, folders, unlabelled, validation, test, labels,
            partial=partial, overlaps=overlaps, label_values=label_values,
        )  # fmt: skip
    if len(folders) > 1 or unlabelled or validation or test or labels or overlaps:
        raise InputError(
            f"--add {layouts[0]}: takes roles and names from its folder, as it has the layout "
            f"{layout}; leave out --unlabelled, --validation, --test, --labels and --overlaps, and "
            "add other folders with another command."
        )
    added = _in_layout(layouts[0], layout, study.modality, label_values)
    return beside(study.labels, added, partial)


def _in_layout(folder: Path, layout: str, modality: Modality | None, label_values: bool) -> Dataset:
    if layout not in LAYOUTS:
        raise InputError(f"--layout: {layout!r} found, one of {list(LAYOUTS)} expected.")
    dataset = LAYOUTS[layout](folder, modality)
    if not label_values:
        return dataset
    cases = tuple(replace(case, label_values=True) for case in dataset.cases)
    return replace(dataset, cases=cases)
