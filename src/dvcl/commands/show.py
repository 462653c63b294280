"""What goes in, as pictures or pages: one scan as a contact sheet, a data set as a montage."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dvcl.commands.show_page import write_montage_page, write_scan_page
from dvcl.commands.targets import find_images
from dvcl.datasets import load_folders, load_nnunet
from dvcl.datasets.dataset import UNKNOWN, Case, Dataset, LabelTable, Modality, Role
from dvcl.datasets.label_file import read_label_table
from dvcl.errors import InputError, counted
from dvcl.report.contact_sheet import contact_sheet
from dvcl.report.figures import save_png
from dvcl.report.montage import montages
from dvcl.report.scan import Scan, lone_scan, scan_of_case, scan_of_stored_case
from dvcl.report.tiles import Tile, failed_tile, mark_odd, tile_of
from dvcl.store import StoredCase, open_store
from dvcl.studies.project import Progress, open_project
from dvcl.volume import is_volume, volume_stem

MAX_WORKERS = 4  # each holds one scan and its label
SUFFIXES = (".png", ".html")
NO_LABELS = LabelTable.from_mapping({1: "organ"})


@dataclass(frozen=True)
class Subject:
    """What is shown: cases by id, each read when its turn comes.

    Attributes:
        name: Of the data set, or of the one scan.
        roles: Of the cases, by id.
        read: Reads a case by its id.
        organs: Names for the legend of a montage.
        is_alone: Whether it is one scan, which has no montage.
        about: What is the same for all tiles, such as the window.
    """

    name: str
    roles: dict[str, Role | None]
    read: Callable[[str], Scan]
    organs: tuple[str, ...]
    is_alone: bool = False
    about: str = ""


def show(
    subject: Subject, out: Path | None, case: str | None = None, progress: Progress | None = None
) -> list[Path]:
    """Write a contact sheet (one scan, or ``case`` of several) or a montage.

    Args:
        subject: What to show.
        out: A .png file, or an .html page with the pictures and a viewer; None takes the name of
            the case or of the data set and .png, in this folder. The second sheet of a montage is
            called X-2.png, and so on.
        case: Id of one case.
        progress: Called as (done, total, case id) after each tile.

    Returns:
        The files written.

    Raises:
        InputError: When ``out`` is neither, or there is no such case.
    """
    if out is not None and out.suffix.lower() not in SUFFIXES:
        raise InputError(f"--out {out}: the name of a .png or .html file was expected.")
    if case is not None and case not in subject.roles:
        near = ", ".join([*subject.roles][:3])
        raise InputError(
            f"--case {case!r}: not among the {counted(len(subject.roles), 'case')} of "
            f"{subject.name}; they are called {near} and so on."
        )
    if subject.is_alone or case is not None:
        name = case or next(iter(subject.roles))
        target = out or Path(f"{name}.png")
        scan = subject.read(name)
        if _is_page(target):
            write_scan_page(target, scan)
        else:
            save_png(contact_sheet(scan), target)
        return [target]
    return _write_montage(subject, out or Path(f"{subject.name}.png"), progress)


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
        modality: "CT" or "MR"; None takes what the study or layout says, and for scans alone CT
            where they have air as in HU.
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
        scan = lone_scan(path, label, table, modality, window, label_values)
        return Subject(scan.id, {scan.id: None}, lambda _: scan, scan.labels.organs, True)
    if (path / "dataset.json").exists():
        return subject_of_dataset(load_nnunet(path, modality), window)
    if (path / "labels").is_dir():
        dataset = load_folders(
            path, labels=labels, modality=modality or "CT", name=_name(path),
            label_values=label_values,
        )  # fmt: skip
        return subject_of_dataset(dataset, window)
    return _subject_of_images(path, modality, window)


def subject_of_dataset(dataset: Dataset, window: tuple[float, float] | None = None) -> Subject:
    """Raw cases, as the files have them."""
    cases = {case.id: case for case in dataset.cases}

    def read(case_id: str) -> Scan:
        return scan_of_case(cases[case_id], dataset.labels, dataset.modality, window)

    about = "MR, each scan from its 0.5th to its 99.5th percentile"
    if dataset.modality == "CT":
        about = "CT, soft tissue window, -160 to 240 HU"
    if window:
        about = f"{dataset.modality}, {window[0]:g} to {window[1]:g}"
    roles = {case.id: case.role for case in dataset.cases}
    return Subject(dataset.name, roles, read, dataset.labels.organs, about=about)


def _subject_of_store(path: Path) -> Subject:
    store = open_store(path)
    modality, roles = _study_of(path)

    def read(case_id: str) -> Scan:
        return scan_of_stored_case(store.case(case_id), store.labels, modality, roles.get(case_id))

    found: dict[str, Role | None] = {case_id: roles.get(case_id) for case_id in store.ids}
    about = "prepared, normalised intensity 0 to 1"
    return Subject(f"store {_name(path)}", found, read, store.labels.organs, about=about)


def _subject_of_prepared_case(path: Path) -> Subject:
    modality, roles = _study_of(path.parent)
    labels = NO_LABELS
    with suppress(InputError):
        labels = open_store(path.parent).labels
    case = StoredCase(path, UNKNOWN if labels is NO_LABELS else labels.classes)
    scan = scan_of_stored_case(case, labels, modality, roles.get(case.id))
    return Subject(case.id, {case.id: scan.role}, lambda _: scan, labels.organs, True)


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
    if modality is None:
        first = next(iter(files.values()))
        modality = "CT" if lone_scan(first, None, None, None, None).unit == "HU" else "MR"
    cases = tuple(Case(case_id, file, None, "unlabelled") for case_id, file in files.items())
    subject = subject_of_dataset(Dataset(_name(path), modality, cases, NO_LABELS), window)
    return Subject(subject.name, subject.roles, subject.read, (), about=subject.about)


def _write_montage(subject: Subject, out: Path, progress: Progress | None) -> list[Path]:
    tiles: list[Tile] = []
    with ThreadPoolExecutor(min(MAX_WORKERS, os.cpu_count() or 1)) as pool:
        ids = list(subject.roles)
        for done, tile in enumerate(pool.map(partial(_tile, subject), ids), start=1):
            tiles.append(tile)
            if progress:
                progress(done, len(ids), tile.id)
    title = f"{subject.name}: {counted(len(tiles), 'scan')}; {subject.about}"
    organs = subject.organs if any(role != "unlabelled" for role in subject.roles.values()) else ()
    tiles = mark_odd(tiles)
    sheets = montages(tiles, organs, title)
    if _is_page(out):
        write_montage_page(out, title, tiles, sheets, subject.read)
        return [out]
    written = []
    for page, figure in enumerate(sheets, start=1):
        path = out if page == 1 else out.with_stem(f"{out.stem}-{page}")
        save_png(figure, path)
        written.append(path)
    return written


def _is_page(out: Path) -> bool:
    return out.suffix.lower() == ".html"


def _tile(subject: Subject, case_id: str) -> Tile:
    try:
        return tile_of(subject.read(case_id))
    except InputError as error:
        return failed_tile(case_id, subject.roles[case_id], _short(error.problems))


def _short(problems: Sequence[str]) -> str:
    """Without the folders in front, which do not fit into a tile."""
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return " ".join(word.rpartition("/")[2] for word in problems[0].split()) + more


def _is_scan(path: Path) -> bool:
    """A file of a volume, or a folder whose own files are DICOM slices."""
    if not path.is_dir():
        return True
    return is_volume(path) and not any(is_volume(entry) for entry in path.iterdir())


def _name(path: Path) -> str:
    return path.resolve().name
