"""The training cases that a dataset.json lists, and what lies beside them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dvcl.datasets.channels import CHANNEL_SUFFIX
from dvcl.datasets.dataset import Case
from dvcl.errors import some_of
from dvcl.volume import is_volume, volume_stem


def listed_cases(description: Mapping[str, Any], source: Path, problems: list[str]) -> list[Case]:
    """The cases that ``training`` (Decathlon, nnU-Net 1) or ``dataset`` (nnU-Net 2) lists.

    Without a list there are none. An image may be listed without the "_0000" that its file has.

    Args:
        description: Content of dataset.json.
        source: That file; its folder is the one that the listed paths begin in.
        problems: Receives entries that are no pair of image and label, and files that are missing.
    """
    listed = description.get("dataset", description.get("training")) or []
    cases = []
    for entry in listed.values() if isinstance(listed, Mapping) else _items(listed):
        pair = _image_and_label(entry)
        if pair is None:
            problems.append(
                f"{source}: lists the training case {entry!r}; one image and one label were "
                'expected, as {"image": "imagesTr/a_0000.nii.gz", "label": "labelsTr/a.nii.gz"}. '
                "Correct the list, or remove it to take all files."
            )
            continue
        image, label = (_file(source.parent / name) for name in pair)
        lacking = [file for file in (image, label) if not file.exists()]
        problems += [
            f"{file}: no such file, but dataset.json lists it among the training cases. Copy the "
            "file, or take the case from the list."
            for file in lacking
        ]
        if not lacking:
            cases.append(Case(unicodedata.normalize("NFC", volume_stem(label)), image, label))
    return cases


def unused_notes(folders: Sequence[Path], cases: Sequence[Case], why: str) -> list[str]:
    """One note per folder with volumes that belong to none of the cases."""
    used = {path.resolve() for case in cases for path in (case.image, case.label) if path}
    notes = []
    for folder in folders:
        inside = sorted(folder.iterdir()) if folder.is_dir() else []
        beside = [path for path in inside if is_volume(path) and path.resolve() not in used]
        if beside:
            names = some_of([path.name for path in beside])
            notes.append(
                f"{folder}: {len(beside)} of its volumes {why} and are left out ({names}). "
                "Correct dataset.json if they are to be used."
            )
    return notes


def _items(listed: Any) -> Iterator[Any]:
    return iter(listed) if isinstance(listed, list) else iter([listed])


def _image_and_label(entry: Any) -> tuple[str, str] | None:
    """Their paths as the list gives them: under "image" or "images", and "label"."""
    if not isinstance(entry, Mapping):
        return None
    images = entry.get("images", [entry.get("image")])
    image = images[0] if isinstance(images, list) and len(images) == 1 else None
    label = entry.get("label")
    return (image, label) if isinstance(image, str) and isinstance(label, str) else None


def _file(path: Path) -> Path:
    """The file, or the one whose name has the channel too."""
    stem = volume_stem(path)
    other = path.with_name(f"{stem}{CHANNEL_SUFFIX}{path.name.removeprefix(stem)}")
    return other if not path.exists() and other.exists() else path
