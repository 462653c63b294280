"""What `dvcl show` shows: any kind of path as cases that are read when their turn comes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dvcl.commands.targets import find_images
from dvcl.datasets import load_folders, load_nnunet
from dvcl.datasets.checks.cases import CaseReport, inspect_case
from dvcl.datasets.checks.labels import empty_findings, measure_organs
from dvcl.datasets.dataset import UNKNOWN, Case, Dataset, LabelTable, Modality, Role
from dvcl.datasets.label_file import read_label_table
from dvcl.errors import InputError
from dvcl.report.scan import Scan, lone_scan, scan_of_case, scan_of_stored_case
from dvcl.store import StoredCase, open_store
from dvcl.studies.project import open_project
from dvcl.volume import is_volume, volume_stem

# What scans are judged as that nothing is said of, by `dvcl check` too; pictures may know better.
USUAL: Modality = "CT"
NO_LABELS = LabelTable.from_mapping({1: "organ"})


@dataclass(frozen=True)
class Subject:
    """What is shown: cases by id, each read when its turn comes.

    Attributes:
        name: Of the data set, or of the one scan.
        roles: Of the cases, by id.
        read: Reads a case by its id.
        look: Says what is to know about the files of a case, as `dvcl check` does.
        labels: Meaning of the label maps.
        is_alone: Whether it is one scan, which has no montage.
        about: What is the same for all tiles, such as the window.
    """

    name: str
    roles: dict[str, Role | None]
    read: Callable[[str], Scan]
    look: Callable[[str], CaseReport]
    labels: LabelTable
    is_alone: bool = False
    about: str = ""


def subject_of_path(
    path: Path,
    *,
    label: Path | None = None,
    labels: Path | None = None,
    modality: Modality | None = None,
    window: tuple[float, float] | None = None,
    label_values: bool = False,
) -> Subject:
    """Find out what a path is: scan, study, store, prepared case, raw data set, folder of scans.

    Args:
        path: Of any of these.
        label: Label map of a single scan.
        labels: JSON file with organ names, for scans outside a study.
        modality: "CT" or "MR"; None takes what the study or layout says. Pictures of scans alone
            are then those of CT where they have air as in HU, and findings those of CT.
        window: Intensities shown.
        label_values: Trust the integers of label maps, also where these name their segments.

    Raises:
        InputError: When it is none of these.
    """
    table = read_label_table(labels) if labels else None
    if not path.exists():
        raise InputError(f"{path}: no such file or folder. Check the path.")
    if label is not None and (path.is_dir() and not _is_scan(path)):
        raise InputError(f"--label {label}: goes with a single scan; {path} is a folder.")
    if (path / "project.json").exists():
        return subject_of_dataset(open_project(path).dataset, window)
    if (path / "store.json").exists():
        return _subject_of_store(path)
    if (path / "case.json").exists():
        return _subject_of_prepared_case(path)
    if _is_scan(path):
        return _subject_of_scan(path, label, table, modality, window, label_values)
    if (path / "dataset.json").exists():
        return subject_of_dataset(load_nnunet(path, modality), window)
    if (path / "labels").is_dir():
        dataset = load_folders(
            path, labels=labels, modality=modality or USUAL, name=_name(path),
            label_values=label_values,
        )  # fmt: skip
        return subject_of_dataset(dataset, window)
    return _subject_of_images(path, modality, window)


def subject_of_dataset(
    dataset: Dataset,
    window: tuple[float, float] | None = None,
    shown_as: Modality | None = None,
) -> Subject:
    """Raw cases, as the files have them.

    Args:
        dataset: As `dvcl check` judges it.
        window: Intensities shown.
        shown_as: Modality that the pictures are of; None takes the data set's.
    """
    cases = {case.id: case for case in dataset.cases}
    modality = shown_as or dataset.modality

    def read(case_id: str) -> Scan:
        return scan_of_case(cases[case_id], dataset.labels, modality, window)

    about = "MR, each scan from its 0.5th to its 99.5th percentile"
    if modality == "CT":
        about = "CT, soft tissue window, -160 to 240 HU"
    if window:
        about = f"{modality}, {window[0]:g} to {window[1]:g}"
    roles = {case.id: case.role for case in dataset.cases}
    return Subject(
        dataset.name, roles, read, lambda case_id: inspect_case(cases[case_id], dataset),
        dataset.labels, about=about,
    )  # fmt: skip


def _subject_of_scan(
    path: Path,
    label: Path | None,
    table: LabelTable | None,
    modality: Modality | None,
    window: tuple[float, float] | None,
    label_values: bool,
) -> Subject:
    scan = lone_scan(path, label, table, modality, window, label_values)
    role: Role | None = None if label else "unlabelled"
    case = Case(scan.id, path, label, role, label_values=label_values)
    dataset = Dataset(scan.id, modality or USUAL, (case,), scan.labels)
    return Subject(
        scan.id, {scan.id: None}, lambda _: scan, lambda _: inspect_case(case, dataset),
        scan.labels, True,
    )  # fmt: skip


def _subject_of_store(path: Path) -> Subject:
    store = open_store(path)
    modality, roles = _study_of(path)

    def read(case_id: str) -> Scan:
        return scan_of_stored_case(store.case(case_id), store.labels, modality, roles.get(case_id))

    found: dict[str, Role | None] = {case_id: roles.get(case_id) for case_id in store.ids}
    return Subject(
        f"store {_name(path)}", found, read,
        lambda case_id: _report_of_stored(store.case(case_id), store.labels), store.labels,
        about="prepared, normalised intensity 0 to 1",
    )  # fmt: skip


def _subject_of_prepared_case(path: Path) -> Subject:
    modality, roles = _study_of(path.parent)
    labels = NO_LABELS
    with suppress(InputError):
        labels = open_store(path.parent).labels
    case = StoredCase(path, UNKNOWN if labels is NO_LABELS else labels.classes)
    scan = scan_of_stored_case(case, labels, modality, roles.get(case.id))
    return Subject(
        case.id, {case.id: scan.role}, lambda _: scan,
        lambda _: _report_of_stored(case, scan.labels), scan.labels, True,
    )  # fmt: skip


def _report_of_stored(case: StoredCase, labels: LabelTable) -> CaseReport:
    """Its grid and its organs; intensities are no longer those of a scanner."""
    stored, geometry = Case(case.id, case.source, case.label_source), case.grid.prepared
    if case.label is None:
        return CaseReport(stored, (), geometry)
    organs = measure_organs(case.label, geometry, labels)
    return CaseReport(stored, (*empty_findings(case.folder, organs),), geometry, organs=organs)


def _study_of(store: Path) -> tuple[Modality, dict[str, Role | None]]:
    """Modality and roles by id, from the study that a store lies in; CT and none without one."""
    with suppress(InputError):
        dataset = open_project(store.resolve().parents[1]).dataset
        return dataset.modality, {case.id: case.role for case in dataset.cases}
    return "CT", {}


def _subject_of_images(
    path: Path, modality: Modality | None, window: tuple[float, float] | None
) -> Subject:
    """A folder of scans without labels."""
    files = {volume_stem(file): file for file in find_images([path])}
    first = next(iter(files.values()))
    seen = modality or ("CT" if lone_scan(first, None, None, None, None).unit == "HU" else "MR")
    cases = tuple(Case(case_id, file, None, "unlabelled") for case_id, file in files.items())
    dataset = Dataset(_name(path), modality or USUAL, cases, NO_LABELS)
    return subject_of_dataset(dataset, window, seen)


def _is_scan(path: Path) -> bool:
    """A file of a volume, or a folder whose own files are DICOM slices."""
    if not path.is_dir():
        return True
    return is_volume(path) and not any(is_volume(entry) for entry in path.iterdir())


def _name(path: Path) -> str:
    return path.resolve().name
