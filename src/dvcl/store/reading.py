"""Opening a store: cases by id, memory-mapped or held in RAM."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

import numpy as np

from dvcl.datasets.dataset import Dataset, LabelTable
from dvcl.errors import InputError, counted
from dvcl.files import crc32_of_bytes, sha256_of_json
from dvcl.leaks.fingerprint import ScanFingerprint
from dvcl.preprocessing.geometry import Grid
from dvcl.preprocessing.prepare import Preprocessing
from dvcl.records import Count, Name, Positive, Rule, read_record

# Raised whenever the same input and settings would be stored differently.
FORMAT_VERSION = 1

AGAIN = "Prepare the data set again; what is not damaged is kept."
DTYPES = {"image.npy": "int16", "label.npy": "uint8", "organ_voxels.npy": "int32"}


class GridRecord(TypedDict):
    """A grid in case.json."""

    shape: Annotated[list[Count], Rule(lambda sides: len(sides) == 3, "three whole numbers")]
    affine: Annotated[
        list[list[float]], Rule(lambda rows: np.shape(rows) == (4, 4), "four rows of four numbers")
    ]


class CaseRecord(TypedDict):
    """case.json, as far as it is read."""

    id: Name
    image: str
    label: str | None
    scale: Positive
    offset: float
    grid: dict[str, GridRecord]
    voxels_sha256: str
    coarse_look: NotRequired[str]
    annotated: NotRequired[list[bool]]
    checksums: NotRequired[dict[str, Count]]


class StoreRecord(TypedDict):
    """store.json."""

    format: int
    settings: dict[str, Any]
    labels: dict[str, str]
    cases: list[Name]


class StoredCase:
    """One prepared case; arrays are memory-mapped on first access, or in RAM after `preload`.

    An array is held against its checksum when it is first read; earlier versions wrote none.

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

    def __init__(self, folder: Path, classes: int) -> None:
        self.folder = folder
        self.classes = classes
        with read_record(folder / "case.json", CaseRecord, AGAIN) as record:
            self.id: str = record["id"]
            self.scale: float = record["scale"]
            self.offset: float = record["offset"]
            self.grid = Grid.from_json(record["grid"])
            self.fingerprint = ScanFingerprint.from_json(record)
            self.checksums = record.get("checksums", {})
            self.source = Path(record["image"])
            self.label_source = Path(record["label"]) if record["label"] else None
            if "annotated" in record:
                self.annotated = np.array(record["annotated"], dtype=bool)
                self._expect("case.json", "annotated", self.annotated.shape, (classes,))

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

    def label_facts(self) -> list[Any]:
        """What tells its label from another one: a checksum, and the classes that it shows."""
        name = "label.npy"
        found = self.checksums.get(name)
        if found is None:
            self._load(name, memory_map=True)  # says what is wrong with it
            found = crc32_of_bytes(self.folder / name)
        return [found, None if self.annotated is None else self.annotated.tolist()]

    def preload(self, label: bool = True) -> None:
        """Hold the image, and the label where there is one, in RAM."""
        self.image = self._load("image.npy", memory_map=False)
        if label and self.label_source:
            self.label = self._load("label.npy", memory_map=False)

    def check(self) -> None:
        """Read all arrays.

        Raises:
            InputError: When one is missing or damaged.
        """
        _ = self.image
        if self.label_source:
            _ = self.label, self.organ_voxels

    def _load(self, name: str, memory_map: bool) -> np.ndarray:
        path = self.folder / name
        try:
            array: np.ndarray = np.load(path, mmap_mode="r" if memory_map else None)
            found = crc32_of_bytes(path)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{path}: cannot be read ({error}). {AGAIN}") from error
        if self.checksums.get(name, found) != found:
            raise InputError(
                f"{path}: has the checksum {found:08x}, {self.checksums[name]:08x} was written; "
                f"the file is damaged. {AGAIN}"
            )
        self._check_content(name, array)
        return array

    def _check_content(self, name: str, array: np.ndarray) -> None:
        """What holds for arrays without a checksum too, since training would stumble over it."""
        self._expect(name, "type", array.dtype, np.dtype(DTYPES[name]))
        if name != "organ_voxels.npy":
            self._expect(name, "shape", array.shape, self.shape)
            limits: tuple[int, ...] = (self.classes,)
        else:
            self._expect(name, "shape", array.shape, (len(array), 4))
            limits = (self.classes, *self.shape)
        if name == "image.npy" or not array.size:
            return
        largest = array.reshape(-1, len(limits)).max(axis=0)
        if (largest >= limits).any() or array.min() < 0:
            raise InputError(
                f"{self.folder / name}: holds numbers up to {largest.tolist()}; below "
                f"{list(limits)} and none below 0 were expected. {AGAIN}"
            )

    def _expect(self, name: str, what: str, found: object, expected: object) -> None:
        if found != expected:
            raise InputError(
                f"{self.folder / name}: the {what} {found} found, {expected} expected. {AGAIN}"
            )


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
        self._known = frozenset(self.ids)
        self._cases: dict[str, StoredCase] = {}

    def case(self, case_id: str) -> StoredCase:
        """Open one case; the same object at every call.

        Raises:
            InputError: When the store has no such case, or its files are missing.
        """
        if case_id not in self._cases:
            if case_id not in self._known:
                raise InputError(
                    f"{self.folder}: has no case {case_id!r}; it holds "
                    f"{counted(len(self.ids), 'case')}, the first {self.ids[:3]}. Prepare the data "
                    "set again."
                )
            self._cases[case_id] = StoredCase(self.folder / case_id, self.labels.classes)
        return self._cases[case_id]

    def preload(self, ids: Iterable[str] | None = None, labels: bool = True) -> None:
        """Hold images and labels of the given cases (all by default) in RAM; see `size_bytes`."""
        for case_id in self.ids if ids is None else ids:
            self.case(case_id).preload(labels)

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
    with read_record(folder / "store.json", StoreRecord, AGAIN) as index:
        if index["format"] != FORMAT_VERSION:
            raise InputError(
                f"{folder}: is a store of format {index['format']}; format {FORMAT_VERSION} was "
                "expected. Prepare the data set again."
            )
        settings = Preprocessing.from_json(index["settings"])
        return Store(folder, settings, LabelTable.from_json(index["labels"]), index["cases"])


def store_folder(
    root: Path | str, dataset: Dataset, settings: Preprocessing, edition: int = 1
) -> Path:
    """Name the store's folder under ``root``: data set's name, edition and settings decide it."""
    identity = store_identity(dataset, settings)
    # The first edition has the name that stores had before there were others.
    return (
        Path(root)
        / sha256_of_json({**identity, "edition": edition} if edition > 1 else identity)[:12]
    )


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
