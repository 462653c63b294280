"""A study that grows: more scans, more labels, more organs, and everything that was there stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dvcl.datasets.addition import REFUSED, with_new_organs
from dvcl.datasets.checks import inspect_dataset
from dvcl.datasets.dataset import Case, Dataset
from dvcl.errors import InputError
from dvcl.files import read_json, write_json
from dvcl.leaks.overlap import Twins, check_split
from dvcl.locks import folder_lock
from dvcl.store import Store, Workers, build_store
from dvcl.store.task import label_hash, stored_record
from dvcl.studies.leak_guard import stored_twins
from dvcl.studies.merging import Merged, merge
from dvcl.studies.project import Progress, Project, open_project, tell_warnings, write_project


def grow(
    project: Project,
    added: Dataset,
    *,
    allow_overlap: bool = False,
    workers: Workers | None = None,
    checked: Progress | None = None,
    prepared: Progress | None = None,
    compared: Progress | None = None,
    tell: Callable[[str], None] = print,
) -> Project:
    """Add cases to a study as its next edition; nothing that is there is prepared again.

    The edition before keeps its record and its store, so that its runs can go on. Until all is
    done the study is what it was; the same call goes on where it was stopped.

    Args:
        project: In its newest edition.
        added: Cases with the label table of both, of `load_addition`.
        allow_overlap: Add a scan that serves another purpose already.
        workers: As for `build_store`.
        checked: Progress of reading the added files.
        prepared: Of the preparation.
        compared: Of the search for scans that are there twice.
        tell: Called with what came of it, with warnings, and with scans that look alike.

    Returns:
        The study in its new edition, or as it was where the scans bring nothing but the places of
        files that have moved.

    Raises:
        InputError: When files are faulty, do not fit the study, or are scans that serve another
            purpose; the study is as before.
    """
    with folder_lock(project.folder):
        if open_project(project.folder).edition != project.edition:
            raise InputError(
                f"{project.folder}: has grown since this command began. Give it once more."
            )
        settings = project.load_recipe().preprocessing
        before = project.store(project.load_recipe())
        merged = _merged(project, before, added, checked, tell)
        for line in merged.in_words():
            tell(line)
        if not merged.changed:
            return _in_new_places(project, merged, workers, prepared) if merged.moved else project
        edition = project.edition + 1
        store = build_store(
            merged.dataset, settings, project.folder / "store", workers, prepared,
            edition=edition, earlier=before,
        )  # fmt: skip
        twins = stored_twins(store, compared)
        for line in _check_twins(merged, twins, allow_overlap):
            tell(line)
        record = project.folder / "project.json"
        write_json(project.folder / "editions" / f"{project.edition}.json", read_json(record))
        _move_in_editions(project, merged.moved)
        grown = replace(project, dataset=merged.dataset, edition=edition)
        write_project(grown)
        return grown


def _in_new_places(
    project: Project, merged: Merged, workers: Workers | None, progress: Progress | None
) -> Project:
    """The same edition, whose records name files where they are now."""
    settings = project.load_recipe().preprocessing
    build_store(
        merged.dataset, settings, project.folder / "store", workers, progress,
        edition=project.edition,
    )  # fmt: skip
    found = replace(project, dataset=merged.dataset)
    _move_in_editions(project, merged.moved)
    write_project(found)
    return found


def _move_in_editions(project: Project, moved: Mapping[Path, Path]) -> None:
    """Earlier editions name the same files: their runs are scored by them."""
    new_place = {str(old): str(new.absolute()) for old, new in moved.items()}
    for record in sorted((project.folder / "editions").glob("*.json")):
        value = read_json(record)
        for case in value["dataset"]["cases"]:
            case |= {key: new_place.get(case[key], case[key]) for key in ("image", "label")}
        write_json(record, value)


def _merged(
    project: Project,
    store: Store,
    added: Dataset,
    checked: Progress | None,
    tell: Callable[[str], None],
) -> Merged:
    """The study with the added cases, once their files are in order."""
    inspected = inspect_dataset(added, checked, twins=True)
    if errors := inspected.of("error"):
        raise InputError([finding.problem for finding in errors], heading=REFUSED)
    # What concerns organs in general is to be said of all cases, not of those few.
    tell_warnings([finding for finding in inspected.of("warning") if finding.case], tell)
    ids = {found.voxels_sha256: case for case, found in store.fingerprints().items()}
    same_scan = {
        report.case.id: ids[report.fingerprint.voxels_sha256]
        for report in inspected.reports
        if report.fingerprint and report.fingerprint.voxels_sha256 in ids
    }
    cases = {case.id: case for case in project.dataset.cases}

    def has_this_label(known: str, case: Case) -> bool:
        stored = stored_record(store.folder / known).get("label_sha256")
        same_organs = {*case.unannotated} == {*_lacking(cases[known], project, added)}
        return stored == label_hash(case, added.labels) and same_organs

    return merge(project.dataset, added, same_scan, has_this_label)


def _lacking(case: Case, project: Project, added: Dataset) -> Sequence[str]:
    """Organs that nobody has drawn in a case of the study, those of the addition included."""
    new = added.labels.organs[len(project.dataset.labels.organs) :]
    return with_new_organs(case, new).unannotated


def _check_twins(merged: Merged, twins: Sequence[Twins], allow_overlap: bool) -> list[str]:
    """Make sure that no added scan serves another purpose already; returns what looks alike."""
    changed = {*merged.changed}
    pairs = [pair for pair in twins if changed & {pair.first, pair.second}]
    roles = {case.id: case.role for case in merged.dataset.cases}
    parts: dict[str, list[str]] = {}
    for case, role in roles.items():
        if role is not None:
            parts.setdefault(role, []).append(case)
    return [
        *check_split(parts, pairs, allow_overlap),
        *(
            f"Look at these, they count twice if they are one scan: {pair.first} and {pair.second} "
            f"({pair.in_words()})."
            for pair in pairs
            if roles[pair.first] == roles[pair.second]
            or None in (roles[pair.first], roles[pair.second])
        ),
    ]
