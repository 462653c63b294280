"""A study's folder: the data set it was made from, its stores, splits and runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NotRequired, TypedDict

from dvcl.datasets.checks import Finding, alike_as_one, check_dataset
from dvcl.datasets.dataset import Dataset, Modality, Role
from dvcl.errors import InputError, quoted
from dvcl.files import folder_name, require_writable, write_json
from dvcl.recipe import Recipe, load_recipe
from dvcl.records import Count, Name, read_record
from dvcl.splits import make_split
from dvcl.store import Store, Workers, build_store, open_store, store_folder
from dvcl.studies.leak_guard import stored_twins

Progress = Callable[[int, int, str], None]

WARNINGS_TOLD = 5


class CaseRecord(TypedDict):
    """A case in project.json."""

    id: Name
    image: Name
    label: str | None
    role: Role | None
    unannotated: NotRequired[list[str]]
    later_mask_wins: NotRequired[bool]
    pseudo_label: NotRequired[bool]


class DatasetRecord(TypedDict):
    """The data set in project.json."""

    name: str
    modality: Modality
    labels: dict[str, str]
    cases: list[CaseRecord]


class ProjectRecord(TypedDict):
    """project.json; without an edition it is the first one."""

    recipe: Name
    changes: list[str]
    dataset: DatasetRecord
    edition: NotRequired[Count]


@dataclass(frozen=True)
class Project:
    """``folder/{project.json, store/<hash>/, runs/<name>/<method>/seed-<n>/, report/}``.

    A study that has grown keeps the records of its earlier editions in ``editions/``, and a store
    of each.

    Attributes:
        folder: The study's folder.
        dataset: What was prepared.
        recipe: Name or file of the recipe it was prepared with, the default for training.
        changes: Settings changed for the preparation; they hold for training too.
        edition: Of the data set, from 1 on; every addition makes another one.
    """

    folder: Path
    dataset: Dataset
    recipe: str
    changes: tuple[str, ...] = ()
    edition: int = 1
    _opened: dict[Path, Store] = field(init=False, default_factory=dict, compare=False, repr=False)

    def load_recipe(self, name: str | None = None, changes: Sequence[str] = ()) -> Recipe:
        """The study's recipe, or another one, with the study's changes and then ``changes``."""
        return load_recipe(name or self.recipe, (*self.changes, *changes))

    def store(self, recipe: Recipe) -> Store:
        """The store prepared with the recipe's preprocessing; the same object at every call.

        Raises:
            InputError: When the data have not been prepared with these settings; says which differ.
        """
        folder = store_folder(
            self.folder / "store", self.dataset, recipe.preprocessing, self.edition
        )
        if folder in self._opened:
            return self._opened[folder]
        prepared = self.load_recipe().preprocessing.to_json()
        asked = recipe.preprocessing.to_json()
        if asked != prepared and not (folder / "store.json").exists():
            raise InputError(
                [
                    f"preprocessing.{name}: {prepared[name]} there, {value} asked for"
                    for name, value in asked.items()
                    if value != prepared[name]
                ],
                f"{self.folder}: is prepared with other settings. Leave them as they are, or "
                "prepare the same folders once more, with the same --recipe or --set as here:",
            )
        self._opened[folder] = open_store(folder)
        return self._opened[folder]

    def run_folder(self, name: str, method: str, seed: int) -> Path:
        """Where a run is kept, as ``runs/small-ct_4-labelled/cps/seed-0``.

        Raises:
            InputError: When ``name`` is not that of a folder.
        """
        if Path(name).name != name or name.startswith("."):
            raise InputError(
                f"--name {name!r}: the name of one folder was expected, without / and a dot in "
                "front. Runs stay in the study's own folder."
            )
        return self.folder / "runs" / folder_name(name) / method / f"seed-{seed}"

    def runs(self) -> list[Path]:
        """Folders of all runs, sorted."""
        return sorted(path.parent for path in self.folder.glob("runs/*/*/*/run.json"))


def open_project(folder: Path, edition: int | None = None) -> Project:
    """Open what `prepare` made.

    Args:
        folder: The study's.
        edition: Of its data set; None for the newest.

    Raises:
        InputError: When there is no project, or no such edition, or its record is damaged.
    """
    newest = _open(folder, folder / "project.json")
    if edition in (None, newest.edition):
        return newest
    path = folder / "editions" / f"{edition}.json"
    if not path.exists():
        raise InputError(
            f"{folder}: has no edition {edition}; 1 to {newest.edition} were expected. The newest "
            "is taken without --edition."
        )
    return _open(folder, path)


def _open(folder: Path, path: Path) -> Project:
    if not path.exists():
        raise InputError(
            f"{folder}: no prepared data there (project.json is missing). Run `dvcl prepare "
            f"{quoted(folder)} --labelled DIR --unlabelled DIR` first."
        )
    with read_record(path, ProjectRecord, "Run `dvcl prepare` again, as before.") as value:
        dataset = Dataset.from_json(value["dataset"])
        return Project(
            folder, dataset, value["recipe"], tuple(value["changes"]), value.get("edition", 1)
        )


def write_project(project: Project) -> None:
    """Write the study's record, ``project.json``."""
    record = {
        "recipe": project.recipe,
        "changes": list(project.changes),
        "dataset": project.dataset.to_json(),
        **({"edition": project.edition} if project.edition > 1 else {}),
    }
    write_json(project.folder / "project.json", record)


def prepare(
    folder: Path,
    dataset: Dataset,
    recipe_name: str,
    *,
    changes: tuple[str, ...] = (),
    workers: Workers | None = None,
    checked: Progress | None = None,
    prepared: Progress | None = None,
    compared: Progress | None = None,
    tell: Callable[[str], None] | None = None,
    edition: int = 1,
    earlier: Store | None = None,
) -> Store:
    """Check a data set and prepare all its cases; an interrupted preparation continues.

    ``edition`` is that of the data set, where it is one that has grown. What the store ``earlier``
    has of the same files is taken from there.

    ``tell`` is called, before any work, when the recipe cannot divide the cases; and then with what
    the check warns of.

    Raises:
        InputError: With everything that is wrong with the data, before any work.
    """
    recipe = load_recipe(recipe_name, changes)
    require_writable(folder)
    _refuse_shrinking(folder, edition)
    if tell:
        _tell_of_split(dataset, recipe, tell)
    warnings = check_dataset(dataset, checked).of("warning")
    if tell:
        tell_warnings(warnings, tell)
    store = build_store(
        dataset, recipe.preprocessing, folder / "store", workers, prepared,
        edition=edition, earlier=earlier,
    )  # fmt: skip
    # Training looks for one scan in two parts; found now, it need not wait for that.
    stored_twins(store, compared)
    write_project(Project(folder, dataset, recipe_name, changes, edition))
    return store


def tell_warnings(warnings: Sequence[Finding], tell: Callable[[str], None]) -> None:
    """The first findings of a check, and how many there are."""
    for finding in alike_as_one(warnings)[:WARNINGS_TOLD]:
        tell(f"Warning: {finding.problem}")
    if warnings:
        tell(f"{len(warnings)} to look at; `dvcl check` with the same scans lists them all.")


def _refuse_shrinking(folder: Path, edition: int) -> None:
    there = 1
    if (folder / "project.json").exists():
        # A damaged record is written anew, but not where it is that of a study that has grown.
        there += len([*folder.glob("editions/*.json")])
        with suppress(InputError):
            there = open_project(folder).edition
    if edition != there:
        raise InputError(
            f"{folder}: is in edition {there}, and would lose what was added. Add these scans "
            f"too, with `dvcl prepare {quoted(folder)} --add DIR`; prepare what it has once more, "
            "without naming folders; or choose another folder."
        )


def _tell_of_split(dataset: Dataset, recipe: Recipe, tell: Callable[[str], None]) -> None:
    """Options of the training may still divide the cases otherwise, so this is no error yet."""
    try:
        make_split(dataset, recipe.split)
    except InputError as error:
        for problem in error.problems:
            tell(f"Warning: the recipe {recipe.name} cannot divide these cases. {problem}")
