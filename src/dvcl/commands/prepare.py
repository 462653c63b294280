"""Prepare scans, prepare those of a study once more, or add some to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from dvcl.commands.console import bars, console
from dvcl.datasets.addition import REFUSED
from dvcl.datasets.dataset import Dataset
from dvcl.datasets.predicted import LAID_OUT, unchanged
from dvcl.errors import InputError, counted
from dvcl.store import Store, Workers
from dvcl.studies.growing import grow
from dvcl.studies.project import Project, open_project, prepare


def usual_name(work: Path) -> str:
    """Of the data set of plain folders: the one that the study has, or the study's own."""
    with suppress(InputError):
        return open_project(work).dataset.name
    return work.resolve().name


def prepare_scans(
    work: Path,
    find: Callable[[], Dataset],
    names_scans: bool,
    recipe: str | None,
    changes: Sequence[str],
    workers: Workers | None,
) -> tuple[Store, str]:
    """Prepare the scans that are named, or once more those that the study has.

    Args:
        work: The study's folder.
        find: Finds the scans that the command line names.
        names_scans: Whether it names any.
        recipe: Name or file; None for the study's own, or the one for the modality.
        changes: Of its settings; none for the study's own where its scans are prepared again.
        workers: As for `build_store`.

    Returns:
        The store, and the recipe.

    Raises:
        InputError: As ``find`` and `prepare`.
    """
    again = None
    if not names_scans and (work / "project.json").exists():
        again = open_project(work)
    dataset = again.dataset if again else find()
    usual = "small-ct" if dataset.modality == "CT" else "small-mr"
    chosen = recipe or (again.recipe if again else usual)
    settings = tuple(changes) or (again.changes if again else ())
    with bars() as bar:
        store = prepare(
            work, dataset, chosen, changes=settings, workers=workers,
            checked=bar("Checking"), prepared=bar("Preparing"), compared=bar("Comparing"),
            tell=_tell, edition=again.edition if again else 1,
        )  # fmt: skip
    return store, chosen


def add_scans(
    work: Path,
    find: Callable[[Dataset], Dataset],
    others: Mapping[str, Any],
    allow_overlap: bool,
    workers: Workers | None,
) -> tuple[Project, Project]:
    """Add scans to a study.

    Args:
        work: The study's folder.
        find: Finds the scans beside the study's data set.
        others: Options that do not go with an addition, and what they were given.
        allow_overlap: As for `grow`.
        workers: Likewise.

    Returns:
        The study before and after.

    Raises:
        InputError: When such an option was given, a label map is one that `dvcl next` laid out and
            nobody has changed, and as ``find`` and `grow`.
    """
    if given := [name for name, value in others.items() if value]:
        raise InputError(
            f"prepare: {', '.join(given)} found with --add; name, recipe and settings of a study "
            "stay as they are, and its further scans are named by --add, --unlabelled, "
            "--validation and --test. Leave these options out, or prepare another study."
        )
    project = open_project(work)
    added = find(project.dataset)
    if problems := unchanged(project.folder / LAID_OUT, added.cases):
        raise InputError(problems, REFUSED)
    with bars() as bar:
        grown = grow(
            project, added, allow_overlap=allow_overlap, workers=workers, checked=bar("Checking"),
            prepared=bar("Preparing"), compared=bar("Comparing"), tell=_tell,
        )  # fmt: skip
    return project, grown


def growth(before: Project, after: Project) -> str:
    """What an addition means for runs, in words."""
    if after.edition == before.edition:
        return f"Nothing new: {before.folder} stays in edition {before.edition}."
    return (
        f"{after.folder} is in edition {after.edition} now, with "
        f"{counted(len(after.dataset.cases), 'case')}. Runs of edition {before.edition} stay as "
        f"they are; --edition {before.edition} of `dvcl train` goes on with those that have not "
        "finished, and --from RUN begins with what a run has learned."
    )


def _tell(line: str) -> None:
    console.warn(line)
