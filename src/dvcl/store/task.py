"""One case to prepare: what decides its arrays, and whether they are there already."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvcl.datasets.dataset import Case, LabelTable
from dvcl.datasets.masks import case_masks, has_masks, named_segments
from dvcl.errors import InputError
from dvcl.files import (
    PARTIAL,
    crc32_of_bytes,
    read_json,
    sha256_of_bytes,
    sha256_of_json,
    write_json,
)
from dvcl.preprocessing.prepare import Preprocessing
from dvcl.store.reading import StoredCase
from dvcl.volume import source_files


@dataclass(frozen=True)
class Earlier:
    """The store of an earlier edition of a study, with the same settings.

    Attributes:
        folder: Where it lies.
        labels: Meaning of its class indices.
    """

    folder: Path
    labels: LabelTable


@dataclass(frozen=True)
class CaseTask:
    """One case to prepare; plain values, so that a worker process can take it.

    Attributes:
        case: The raw case.
        labels: Meaning of its label integers.
        settings: Of the preparation.
        folder: The store's folder; the case's own lies in it.
        identity: What distinguishes the store from others.
        earlier: The store of an earlier edition; what it has of the case is taken from there.
    """

    case: Case
    labels: LabelTable
    settings: Preprocessing
    folder: Path
    identity: dict[str, Any]
    earlier: Earlier | None = None

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
            "label_sha256": label_hash(self.case, self.labels) if self.label else None,
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

    def is_finished(self) -> bool:
        """Whether the case's folder was made of the same files and settings, and is undamaged.

        Raises:
            InputError: When a source file cannot be read.
        """
        record = self.record()
        stored = stored_record(self.target)
        if stored.get("key") != record["key"] or not self._is_undamaged():
            return False
        # Cases of earlier versions have none; from now on damage to them is found too.
        record["checksums"] = stored.get("checksums") or checksums(self.target)
        if any(stored.get(k) != record[k] for k in record):
            # The same bytes lie elsewhere now: the stored voxels hold, only the paths are new.
            write_json(self.target / "case.json", {**stored, **record})
        return True

    def _is_undamaged(self) -> bool:
        with suppress(InputError):
            StoredCase(self.target, self.labels.classes).check()
            return True
        return False


def stored_record(folder: Path) -> dict[str, Any]:
    """What case.json says; nothing if it is missing or damaged, so that it is made anew."""
    try:
        stored = read_json(folder / "case.json")
    except InputError:
        return {}
    return stored if isinstance(stored, dict) else {}


def label_hash(case: Case, labels: LabelTable) -> str:
    """SHA-256 of the label files of a case that count.

    Raises:
        InputError: When one cannot be read.
    """
    assert case.label is not None, f"{case.id} has no label"
    if not has_masks(case):
        return _volume_hash(case.label)
    # The name of a mask says which class it is.
    hashes = [[organ, _volume_hash(path)] for organ, path in case_masks(case, labels).items()]
    return sha256_of_json([*hashes, case.later_mask_wins])


@contextmanager
def being_written(task: CaseTask) -> Iterator[Path]:
    """A folder to write a case into; it takes its place only when the block succeeds."""
    partial = task.folder / f"{PARTIAL}{task.case.id}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        _replace_folder(partial, task.target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def checksums(folder: Path) -> dict[str, int]:
    """CRC-32 of every array of a case, by the name of its file."""
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
