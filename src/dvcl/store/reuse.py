"""What an earlier edition of a store has of a case: nothing is prepared twice."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from dvcl.errors import InputError
from dvcl.files import write_json
from dvcl.store.reading import StoredCase
from dvcl.store.task import CaseTask, being_written, checksums, stored_record

# In case.json, what the image alone decides.
IMAGE_FACTS = ("voxels_sha256", "coarse_look", "scale", "offset", "grid")


def take_image(task: CaseTask, record: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Put the earlier image into ``folder``; returns what case.json says of it.

    Args:
        task: The case.
        record: Of its files as they are now.
        folder: Of the case that is being written.

    Returns:
        Nothing where there is no such image, it is damaged, or the file has changed.
    """
    stored = _earlier(task)
    same = stored.get("image_sha256") == record["image_sha256"]
    return _linked(task, stored, folder) if same and _is_sound(task, False) else {}


def take_case(task: CaseTask) -> bool:
    """Take the whole case from the earlier edition, where its files and classes are the same.

    Returns:
        Whether it was; a case with a new or another label is to be written.

    Raises:
        InputError: When a source file cannot be read.
    """
    stored = _earlier(task)
    if not stored or not _keeps_classes(task):
        return False
    record, label = task.record(), task.label is not None
    same = all(stored.get(key) == record[key] for key in ("image_sha256", "label_sha256"))
    if not same or not _is_sound(task, label):
        return False
    with being_written(task) as folder:
        facts = _linked(task, stored, folder, label)
        facts |= {"checksums": checksums(folder), "versions": stored.get("versions", {})}
        write_json(folder / "case.json", {**record, **facts})
    return True


def _earlier(task: CaseTask) -> dict[str, Any]:
    return stored_record(task.earlier.folder / task.case.id) if task.earlier else {}


def _keeps_classes(task: CaseTask) -> bool:
    """Whether every class index of the earlier edition means what it meant."""
    assert task.earlier is not None
    old, new = task.earlier.labels, task.labels
    count = old.classes
    return (old.values, old.names) == (new.values[:count], new.names[:count])


def _is_sound(task: CaseTask, label: bool) -> bool:
    """Whether the earlier arrays are those that were written."""
    assert task.earlier is not None
    with suppress(InputError):
        case = StoredCase(task.earlier.folder / task.case.id, task.earlier.labels.classes)
        _ = (case.image, case.label, case.organ_voxels) if label else case.image
        return True
    return False


def _linked(
    task: CaseTask, stored: dict[str, Any], folder: Path, label: bool = False
) -> dict[str, Any]:
    assert task.earlier is not None
    for name in ("image.npy", *(("label.npy", "organ_voxels.npy") if label else ())):
        _link(task.earlier.folder / task.case.id / name, folder / name)
    return {key: stored[key] for key in IMAGE_FACTS if key in stored}


def _link(source: Path, target: Path) -> None:
    try:
        # Arrays are replaced, never changed in place: two names of one file take no space.
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
