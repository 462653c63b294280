"""Self-training: masks that a sheet accepts become labels of the next run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

from dvcl.commands.console import bars, console
from dvcl.commands.pseudo_labels import pseudo_record
from dvcl.commands.sheet import PAGE, Judged, make_sheet
from dvcl.commands.sheet_page import write_sheet_page
from dvcl.commands.twin import train_and_tell
from dvcl.datasets.dataset import ROLES, Case
from dvcl.datasets.predicted import PSEUDO_LABELS
from dvcl.errors import InputError, counted
from dvcl.files import write_json
from dvcl.methods import METHODS
from dvcl.recipe import Recipe
from dvcl.records import Name, read_record
from dvcl.resources import launch
from dvcl.splits import Split
from dvcl.studies.device import usable_device
from dvcl.studies.members import open_members
from dvcl.studies.project import Project, open_project, prepare
from dvcl.studies.run import Run
from dvcl.studies.run_record import differences

FOLDER = "selftrain"  # in the study


class LimitsRecord(TypedDict):
    """Of the limits what a round is known by."""

    wanted: float


class PseudoRecord(TypedDict):
    """Of pseudo-labels.json what a round is known by."""

    weights: list[Name]
    limits: LimitsRecord


@dataclass(frozen=True)
class SelfTraining:
    """Runs that have followed each other.

    Attributes:
        runs: The first one without pseudo-labels, then one of every round.
        ended: Why there are fewer rounds than were asked for; empty where there are not.
    """

    runs: tuple[Run, ...]
    ended: str


def self_train(
    project: Project,
    recipe: Recipe,
    method: str,
    split: Split,
    *,
    rounds: int,
    wanted: float,
    changes: Sequence[str] = (),
    name: str | None = None,
    **options: Any,
) -> SelfTraining:
    """Train a run, then rounds: accept masks of its unlabelled scans, train with them anew.

    Each round is a study of its own, ``selftrain/<name>/<method>/seed-<n>/round-<n>/``, with the
    validation and test cases of the first one. What is done is not repeated.

    Args:
        project: As ``recipe``, ``method``, ``split``, ``name`` and ``options`` for `train_run`.
        recipe: The study's, with ``changes``.
        method: A key of `METHODS`.
        split: Which case is for what in the first run.
        rounds: How many, at least 1.
        wanted: Mean Dice of a mask that is good enough, in 0..1.
        changes: Settings that the command line changes.
        name: Of the runs.

    Raises:
        InputError: Under torchrun, where a round there was made otherwise, or as `train_run` and
            `make_sheet`.
    """
    if launch().world_size > 1:
        raise InputError(
            f"selftrain: {launch().world_size} processes found, one was expected. Leave out "
            "torchrun."
        )
    run = train_and_tell(project, recipe, method, split, twin=False, name=name, **options)
    base = project.folder / FOLDER / run.folder.relative_to(project.folder / "runs")
    runs, name = [run], run.folder.parents[1].name
    for number in range(1, rounds + 1):
        folder = base / f"round-{number}"
        if reason := _make_round(project, run, folder, wanted, changes, options["device"]):
            return SelfTraining(tuple(runs), f"Round {number} is not trained. {reason}")
        project = open_project(folder)
        run = train_and_tell(
            project, recipe, method, _split(project, run.split), twin=False, name=name, **options
        )
        runs.append(run)
    return SelfTraining(tuple(runs), "")


def _make_round(
    project: Project, run: Run, folder: Path, wanted: float, changes: Sequence[str], device: str
) -> str:
    """Prepare the study of a round, unless it is there; returns why there is none."""
    if (folder / "project.json").exists():
        _check_same(folder, run, wanted)
        return ""
    images = {case.image: case for case in project.dataset.cases if case.id in run.split.unlabelled}
    if not images:
        return f"{run.folder} has no unlabelled scan left."
    with bars() as bar:
        sheet = make_sheet(
            open_members([run.folder]), [*images], wanted, folder, usable_device(device),
            bar("Looking"), console.warn,
        )  # fmt: skip
    write_sheet_page(folder / PAGE, sheet)
    console.print(f"Every mask: open {folder / PAGE} in a browser.", markup=False)
    if not sheet.accepted:
        return f"None of {counted(len(sheet.rows), 'mask')} is accepted. {sheet.about}"
    if METHODS[run.method].needs_unlabelled and len(sheet.accepted) == len(images):
        return (
            f"All {len(images)} masks are accepted, and {run.method} needs unlabelled scans too: "
            "ask for a higher --dice, or prepare more of them."
        )
    console.print(f"{folder.name}: {sheet.about}", markup=False)
    write_json(folder / PSEUDO_LABELS, pseudo_record(sheet))
    accepted = {images[row.opinion.scan].id: row for row in sheet.accepted}
    _prepare_round(project, run, folder, accepted, changes)
    return ""


def _check_same(folder: Path, run: Run, wanted: float) -> None:
    """Refuse a round that other weights or another --dice have made."""
    with read_record(
        folder / PSEUDO_LABELS, PseudoRecord, f"Delete {folder} to make it again."
    ) as record:
        made = {"weights": record["weights"], "dice": record["limits"]["wanted"]}
    asked = {"weights": open_members([run.folder]).weights, "dice": wanted}
    if different := differences(made, asked):
        raise InputError(
            different,
            f"{folder}: this round was made otherwise. Give the runs another --name, or delete it "
            "and the rounds after it:",
        )


def _prepare_round(
    project: Project,
    run: Run,
    folder: Path,
    accepted: Mapping[str, Judged],
    changes: Sequence[str],
) -> None:
    """The study of a round: the cases of the run, with the accepted masks as labels."""
    roles = {case: role for role in ROLES for case in run.split.parts()[role]}
    cases = tuple(
        Case(case.id, case.image, accepted[case.id].opinion.mask, "labelled", pseudo_label=True)
        if case.id in accepted
        else replace(case, role=roles[case.id])
        for case in project.dataset.cases
        if case.id in roles
    )
    with bars() as bar:
        prepare(
            folder, replace(project.dataset, cases=cases), project.recipe,
            changes=(*project.changes, *changes), checked=bar("Checking"),
            prepared=bar("Preparing"), compared=bar("Comparing"), tell=console.warn,
            earlier=project.store(run.recipe),
        )  # fmt: skip


def _split(project: Project, before: Split) -> Split:
    """Every case of a round's study has its purpose already."""
    ids = {role: tuple(sorted(c.id for c in project.dataset.with_role(role))) for role in ROLES}
    return Split(**ids, seed=before.seed, note=before.note)
