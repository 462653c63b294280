"""More scans for a data set that is there, and what their labels mean beside its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dvcl.datasets.dataset import Case, Dataset, LabelTable, Role
from dvcl.datasets.folders import image_folder, label_file_near, labelled_cases
from dvcl.datasets.label_file import read_label_table
from dvcl.datasets.masks import has_masks, masks_of, named_segments
from dvcl.datasets.pairing import (
    archive_notes,
    are_case_folders,
    duplicate_ids,
    unlabelled_cases,
)
from dvcl.errors import InputError

REFUSED = "these scans cannot be added as they are:"


def load_addition(
    study: Dataset,
    folders: Sequence[Path],
    unlabelled: Sequence[Path] = (),
    validation: Path | None = None,
    test: Path | None = None,
    labels: Path | None = None,
    *,
    partial: bool = False,
    overlaps: bool = False,
    label_values: bool = False,
) -> Dataset:
    """Find scans in plain folders that are to be added to a data set.

    Args:
        study: The data set that is there.
        folders: With images/ and labels/ as `load_folders` takes labelled ones; or of images
            alone, which are unlabelled ones.
        unlabelled: As for `load_folders`.
        validation: Likewise.
        test: Likewise.
        labels: JSON file that names the organs of these label maps; without it the one that lies
            near them, and else the study's own table. Only such a file brings new organs.
        partial: Take cases without some of the study's organs, as not annotated there.
        overlaps: As for `load_folders`.
        label_values: Likewise.

    Returns:
        The added cases alone, with the label table of both: new organs follow those of the study.

    Raises:
        InputError: With everything that is missing, left over or double, and with label integers
            that mean something else in the study.
    """
    problems: list[str] = []
    cases: list[Case] = []
    with_labels: list[tuple[Path, Role]] = []
    for folder in folders:
        if (folder / "labels").is_dir() or (folder.is_dir() and are_case_folders(folder)):
            with_labels.append((folder, "labelled"))
        else:
            cases += unlabelled_cases(image_folder(folder), problems)
    for folder in unlabelled:
        cases += unlabelled_cases(image_folder(folder), problems)
    with_labels += [(folder, "validation") for folder in (validation,) if folder]
    with_labels += [(folder, "test") for folder in (test,) if folder]
    for folder, role in with_labels:
        cases += labelled_cases(folder, role, problems)
    problems += duplicate_ids(cases)
    cases = [
        replace(case, later_mask_wins=overlaps, label_values=label_values) if case.label else case
        for case in cases
    ]
    table = _table(study.labels, labels, [folder for folder, _ in with_labels], problems)
    if problems:
        raise InputError(problems, heading=REFUSED)
    found = Dataset(study.name, study.modality, tuple(cases), table, tuple(archive_notes(cases)))
    return beside(study.labels, found, partial)


def beside(study: LabelTable, added: Dataset, partial: bool = False) -> Dataset:
    """Added cases with the label table of a study and of their own together.

    Args:
        study: The table that is there; its classes keep their places.
        added: With the table of its own label maps.
        partial: Take cases without some of the organs, as not annotated there.

    Raises:
        InputError: With integers that mean something else in the study, and, unless ``partial``,
            with cases that lack organs.
    """
    by_integers = [case for case in added.cases if case.label and not _names_its_organs(case)]
    problems: list[str] = []
    joined = _joined(study, added.labels, bool(by_integers), problems)
    if problems:
        raise InputError(problems, heading=REFUSED)
    cases = [_annotated(case, added.labels, joined, partial, problems) for case in added.cases]
    if problems:
        raise InputError(problems, heading=REFUSED)
    return replace(added, labels=joined, cases=tuple(cases))


def with_new_organs(case: Case, organs: Sequence[str]) -> Case:
    """A case of a study that has got these organs: nobody has drawn them in it, unless as masks."""
    if case.label is None or case.role == "unlabelled":
        return case
    drawn = masks_of(case.label) if has_masks(case) else {}
    lacking = (organ for organ in organs if organ not in drawn)
    return replace(case, unannotated=(*case.unannotated, *lacking))


def _table(
    study: LabelTable, labels: Path | None, folders: Sequence[Path], problems: list[str]
) -> LabelTable:
    near = dict.fromkeys(file for folder in folders if (file := label_file_near(folder)))
    try:
        tables = {file: read_label_table(file) for file in ([labels] if labels else near)}
    except InputError as error:
        problems += error.problems
        return study
    if len(set(tables.values())) > 1:
        problems.append(
            f"{', '.join(map(str, tables))}: name other organs; one labels file for all was "
            "expected. Add the folders one after the other, or give one file with --labels."
        )
    return next(iter(tables.values()), study)


def _names_its_organs(case: Case) -> bool:
    return has_masks(case) or bool(named_segments(case))


def _joined(
    study: LabelTable, added: LabelTable, integers_count: bool, problems: list[str]
) -> LabelTable:
    """The study's table, followed by the organs that it does not have yet."""
    table = dict(zip(study.names, study.values, strict=True))
    taken = {*study.values, *(stray for stray, _ in study.aliases)}
    for value, name in zip(added.values[1:], added.organs, strict=True):
        free = value not in taken
        if not integers_count:
            table.setdefault(name, value if free else max({*taken, *table.values()}) + 1)
        elif (known := table.setdefault(name, value)) != value:
            problems.append(
                f"{name}: is {known} in the study's label maps and {value} in these; the same "
                "integer was expected. Change the integers of these label maps."
            )
        elif name not in study.names and not free:
            other = study.names[study.values.index(value)] if value in study.values else "an alias"
            problems.append(
                f"{name}: has the integer {value}, which is {other} in the study's label maps; a "
                "free one was expected. Change the integers of these label maps, or the name."
            )
    if problems:
        return study
    return LabelTable(tuple(table.values()), tuple(table), study.aliases)


def _annotated(
    case: Case, own: LabelTable, joined: LabelTable, partial: bool, problems: list[str]
) -> Case:
    """Note which organs the labels of an added case do not show; a problem unless asked for."""
    if case.label is None:
        return case
    drawn = masks_of(case.label) if has_masks(case) else own.names
    missing = tuple(organ for organ in joined.organs if organ not in drawn)
    if len(missing) == len(joined.organs):
        problems.append(
            f"{case.label}: has none of the organs {', '.join(joined.organs)}; some were expected."
        )
    elif missing and not partial:
        problems.append(
            f"{case.label}: has no {', '.join(missing)}, which other cases of the study have; all "
            "organs were expected. Complete it, or take the case as partly labelled with --partial."
        )
    return replace(case, unannotated=missing)
