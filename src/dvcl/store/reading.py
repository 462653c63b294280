"""Opening a store: cases by id, memory-mapped or held in RAM."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dvcl.datasets.dataset import Dataset, LabelTable
from dvcl.errors import InputError
from dvcl.files import read_record, sha256_of_json
from dvcl.leaks.fingerprint import ScanFingerprint
from dvcl.preprocessing.geometry import Grid
from dvcl.preprocessing.prepare import Preprocessing

# Raised whenever the same input and settings would be stored differently.
FORMAT_VERSION = 1


class StoredCase:
    """One prepared case; arrays are memory-mapped on first access, or in RAM after `preload`.

    Normalised intensity = ``image * scale + offset``, within 1/131070 of the image's range of the
    prepared value: 1e-5 for a clipped CT, under 1e-4 up to a range of 13.

    Attributes:
        id: The data set's case id.
        scale: Of the stored integers.
        offset: Of the stored integers.
        grid: The file's grid and the prepared one.
        fingerprint: Tells the scan from others, whatever its file is called.
        source: The image file.
        label_source: The label file, None for an unlabelled case.
        annotated: (K,) bool, the classes that the label shows; None where it shows all.
    """

    annotated: np.ndarray | None = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        remedy = "Prepare the data set again; the other cases are kept."
        with read_record(folder / "case.json", remedy) as record:
            self.id: str = record["id"]
            self.scale: float = record["scale"]
            self.offset: float = record["offset"]
            self.grid = Grid.from_json(record["grid"])
            self.fingerprint = ScanFingerprint.from_json(record)
            self.source = Path(record["image"])
            self.label_source = Path(record["label"]) if record["label"] else None
            if "annotated" in record:
                self.annotated = np.array(record["annotated"], dtype=bool)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Prepared voxels (D, H, W)."""
        return self.grid.prepared.shape

    @cached_property
    def image(self) -> np.ndarray:
        """int16 (D, H, W), read-only unless preloaded."""
        return self._load("image.npy", memory_map=True)

    @cached_property
    def label(self) -> np.ndarray | None:
        """uint8 class indices (D, H, W), read-only unless preloaded; None without a label."""
        return self._load("label.npy", memory_map=True) if self.label_source else None

    @cached_property
    def organ_voxels(self) -> np.ndarray:
        """int32 (n, 4) rows (class, d, h, w): at most 1000 per organ, evenly over its voxels.

        Raises:
            InputError: When the case has no label.
        """
        if self.label_source is None:
            raise InputError(
                f"case {self.id}: has no label, so the places of its organs are unknown."
            )
        return self._load("organ_voxels.npy", memory_map=False)

    def preload(self, label: bool = True) -> None:
        """Hold the image, and the label where there is one, in RAM."""
        self.image = self._load("image.npy", memory_map=False)
        if label and self.label_source:
            self.label = self._load("label.npy", memory_map=False)

    def _load(self, name: str, memory_map: bool) -> np.ndarray:
        try:
            return np.load(self.folder / name, mmap_mode="r" if memory_map else None)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(
                f"{self.folder / name}: cannot be read ({error}). Delete the folder {self.folder} "
                "and prepare the data again; the other cases are kept."
            ) from error


class Store:
    """All prepared cases of one data set and one set of settings.

    Attributes:
        folder: Where it lies.
        settings: Of the preparation.
        labels: Meaning of the class indices.
        ids: Case ids, in the data set's order.
    """

    def __init__(
        self, folder: Path, settings: Preprocessing, labels: LabelTable, ids: Iterable[str]
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.labels = labels
        self.ids = tuple(ids)
        self._cases: dict[str, StoredCase] = {}

    def case(self, case_id: str) -> StoredCase:
        """Open one case; the same object at every call.

        Raises:
            InputError: When the store has no such case, or its files are missing.
        """
        if case_id not in self._cases:
            if case_id not in self.ids:
                raise InputError(
                    f"{self.folder}: has no case {case_id!r}; it holds {len(self.ids)} cases, the "
                    f"first {self.ids[:3]}. Prepare the data set again."
                )
            self._cases[case_id] = StoredCase(self.folder / case_id)
        return self._cases[case_id]

    def preload(self, ids: Iterable[str] | None = None) -> None:
        """Hold images and labels of the given cases (all by default) in RAM; see `size_bytes`."""
        for case_id in self.ids if ids is None else ids:
            self.case(case_id).preload()

    def size_bytes(self, ids: Iterable[str] | None = None) -> int:
        """RAM that `preload` would take for the given cases, all by default."""
        cases = [self.case(case_id) for case_id in (self.ids if ids is None else ids)]
        return sum(case_bytes(case.shape, case.label_source is not None) for case in cases)

    def fingerprints(self) -> dict[str, ScanFingerprint]:
        """What tells every case's scan from others, for `dvcl.leaks.overlap.find_twins`."""
        return {case_id: self.case(case_id).fingerprint for case_id in self.ids}


def open_store(folder: Path | str) -> Store:
    """Open a finished store.

    Raises:
        InputError: When there is none, it is unfinished, or another version wrote it.
    """
    folder = Path(folder)
    if not (folder / "store.json").exists():
        raise InputError(
            f"{folder}: holds no finished store (store.json is missing). Prepare the data set, or "
            "run the preparation again if it was interrupted: finished cases are kept."
        )
    with read_record(folder / "store.json", "Prepare the data set again.") as index:
        if index["format"] != FORMAT_VERSION:
            raise InputError(
                f"{folder}: is a store of format {index['format']}; format {FORMAT_VERSION} was "
                "expected. Prepare the data set again."
            )
        settings = Preprocessing.from_json(index["settings"])
        return Store(folder, settings, LabelTable.from_json(index["labels"]), index["cases"])


def store_folder(root: Path | str, dataset: Dataset, settings: Preprocessing) -> Path:
    """Name the store's folder under ``root``: the data set's name and settings decide it."""
    return Path(root) / sha256_of_json(store_identity(dataset, settings))[:12]


def store_identity(dataset: Dataset, settings: Preprocessing) -> dict[str, Any]:
    """What tells one store from another."""
    values = settings.to_json()
    if settings.label_interpolation == "nearest":
        # Stores from before there was a choice keep their names.
        del values["label_interpolation"]
    return {"format": FORMAT_VERSION, "dataset": dataset.name, "settings": values}


def case_bytes(shape: tuple[int, int, int], labelled: bool) -> int:
    """Bytes of one stored case: int16 image, uint8 label."""
    return int(np.prod(shape)) * (3 if labelled else 2)
