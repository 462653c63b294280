"""Which of the added cases are new, and which bring labels for a scan that is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dvcl.datasets.addition import REFUSED, with_new_organs
from dvcl.datasets.dataset import Case, Dataset
from dvcl.errors import InputError, counted, counted_are, some_of

IsSame = Callable[[Case], bool]


@dataclass(frozen=True)
class Merged:
    """A data set and its additions together.

    Attributes:
        dataset: All cases; those that were there keep their places, ids and images.
        new: Ids of scans that were not there.
        labelled: Ids of scans that have a label now, and had none.
        corrected: Ids of scans whose label is another one now.
        known: Added files that bring nothing: {image: the id that the scan has}.
        moved: {file of the study that is gone: the same file in its new place}.
        organs: That the data set did not have.
    """

    dataset: Dataset
    new: tuple[str, ...]
    labelled: tuple[str, ...]
    corrected: tuple[str, ...]
    known: Mapping[str, str]
    moved: Mapping[Path, Path]
    organs: tuple[str, ...]

    @property
    def changed(self) -> tuple[str, ...]:
        """Ids of all cases that are not as they were."""
        return (*self.new, *self.labelled, *self.corrected)

    def in_words(self) -> Iterator[str]:
        """One line each of what came, of what was there, and of what old cases lack."""
        counts = {
            "new": self.new,
            "labelled now": self.labelled,
            "with other labels": self.corrected,
        }
        for what, ids in counts.items():
            if ids:
                yield f"{len(ids)} {what}: {some_of(ids)}."
        if self.moved:
            yield (
                f"{counted(len(self.moved), 'file')} of the study found in another place: "
                f"{some_of([str(path) for path in self.moved.values()])}."
            )
        places = [
            f"{image} ({case})"
            for image, case in self.known.items()
            if Path(image) not in self.moved.values()
        ]
        if places:
            are = counted_are(len(places), "scan")
            yield f"{are} in the study already, and stay the same: {some_of(places)}."
        if self.organs:
            lacking = [
                case.id for case in self.dataset.cases if {*self.organs} & {*case.unannotated}
            ]
            yield (
                f"New organs: {', '.join(self.organs)}. Nobody has drawn them in {len(lacking)} "
                f"cases ({some_of(lacking) or 'none'}): methods whose labels enter more than the "
                "supervised loss refuse these."
            )


def merge(
    study: Dataset,
    added: Dataset,
    same_scan: Mapping[str, str],
    has_this_label: Callable[[str, Case], bool],
) -> Merged:
    """Put added cases beside those of a study.

    A scan is known by its voxels, not by its name. A label for a scan without one makes it what
    the added case is for; one for a scan that has a label takes its place, and the scan remains
    what it was for. Files of the study that are gone are taken from where they are found now.

    Args:
        study: The data set that is there.
        added: With the label table of both.
        same_scan: {id of an added case: id of the study's case with the same voxels}.
        has_this_label: Whether the study's case of an id has the label files of an added case.

    Raises:
        InputError: With names that another scan of the study has, scans with two labels, and labels
            that lack organs which the scan's label has had.
    """
    organs = added.labels.organs[len(study.labels.organs) :]
    cases = {case.id: with_new_organs(case, organs) for case in study.cases}
    names = {id.casefold() for id in cases}
    problems: list[str] = []
    new: list[str] = []
    labelled: list[str] = []
    corrected: list[str] = []
    known: dict[str, str] = {}
    moved: dict[Path, Path] = {}
    for case in added.cases:
        there = cases.get(same_scan.get(case.id, ""))
        if there and not there.image.exists():
            moved[there.image] = case.image
            there = cases[there.id] = replace(there, image=case.image)
        if there is None:
            if case.id.casefold() in names:
                problems.append(_name_taken(case))
            new.append(case.id)
            cases[case.id] = case
        elif case.label is None or has_this_label(there.id, case):
            known[str(case.image)] = there.id
            if case.label and there.label and not there.label.exists():
                moved[there.label] = case.label
                cases[there.id] = replace(there, label=case.label)
        elif there.id in (*labelled, *corrected):
            problems.append(_second_label(case, there))
        else:
            is_first = there.label is None or there.role == "unlabelled"
            problems += _lost_organs(case, there, study) if not is_first else []
            (labelled if is_first else corrected).append(there.id)
            cases[there.id] = replace(
                case, id=there.id, image=there.image, role=case.role if is_first else there.role
            )
    if problems:
        raise InputError(problems, heading=REFUSED)
    dataset = replace(study, labels=added.labels, cases=tuple(cases.values()))
    return Merged(dataset, tuple(new), tuple(labelled), tuple(corrected), known, moved, organs)


def _name_taken(case: Case) -> str:
    return (
        f"{case.image}: has the name of the study's case {case.id!r}, but other voxels; a name of "
        "its own, or the same scan, was expected. Rename it."
    )


def _second_label(case: Case, there: Case) -> str:
    return (
        f"{case.label}: is a second label of the scan {there.id!r}; one was expected. Leave out "
        "one of them."
    )


def _lost_organs(case: Case, there: Case, study: Dataset) -> list[str]:
    had = {*study.labels.organs} - {*there.unannotated}
    lost = [organ for organ in study.labels.organs if organ in had & {*case.unannotated}]
    return [
        f"{case.label}: lacks {', '.join(lost)}, which {there.label} has; all organs of the scan "
        "were expected, since this label takes the place of that one. Put them into one label."
    ] if lost else []  # fmt: skip
