"""Which data set a command is about: plain folders, or one folder in a known layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dvcl.datasets import LAYOUTS, load_folders
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
        name: Of the data set, in reports; None takes "own", or the layout's choice.
        partial: For plain folders with one mask per organ, as in `load_folders`.
        overlaps: Likewise.
        label_values: Trust the integers of label maps, also where these name their segments.

    Raises:
        InputError: When neither or both are given, the layout is unknown, or as the loaders.
    """
    if (labelled is None) == (data is None):
        raise InputError(
            "which scans? Give either plain folders (--labelled DIR, --unlabelled DIR) or one "
            "folder in a known layout (--data DIR --layout NAME)."
        )
    if labelled is not None:
        return load_folders(
            labelled, unlabelled, validation, test, labels, modality or "CT", name or "own",
            partial=partial, overlaps=overlaps, label_values=label_values,
        )  # fmt: skip
    assert data is not None
    if unlabelled or validation or test or labels or partial or overlaps:
        raise InputError(
            "--data takes roles and names from its folder; leave out --unlabelled, --validation, "
            "--test, --labels, --partial and --overlaps, or give plain folders with --labelled."
        )
    if layout not in LAYOUTS:
        raise InputError(f"--layout: {layout!r} found, one of {list(LAYOUTS)} expected.")
    dataset = LAYOUTS[layout](data, modality)
    if label_values:
        cases = tuple(replace(case, label_values=True) for case in dataset.cases)
        dataset = replace(dataset, cases=cases)
    return dataset if name is None else dataset.named(name)
