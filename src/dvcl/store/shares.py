"""Cases divided among processes on other machines, which write into the one store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

from dvcl.datasets.dataset import Case, LabelTable
from dvcl.errors import InputError
from dvcl.files import write_json
from dvcl.locks import folder_lock
from dvcl.preprocessing.prepare import Preprocessing
from dvcl.records import Name, read_record
from dvcl.store.task import CaseTask

TASKS, PROBLEMS = "tasks.json", "problems.json"
AGAIN = "Prepare the data set again; finished cases are kept."


class ShareRecord(TypedDict):
    """tasks.json: what the tasks of a share have in common, and their cases."""

    labels: dict[str, str]
    settings: dict[str, Any]
    folder: Name
    identity: dict[str, Any]
    cases: list[dict[str, Any]]


def share_folder(root: Path | str, number: int) -> Path:
    """Of one share, within the folder of all stores; held by the process that works on it."""
    return Path(root) / "shares" / str(number)


def free_shares(root: Path | str) -> None:
    """See that nobody prepares a share.

    Raises:
        InputError: When a living process does; names it.
    """
    for path in Path(root).glob(f"shares/*/{TASKS}"):
        with folder_lock(path.parent):
            pass


def write_share(folder: Path, tasks: Sequence[CaseTask]) -> None:
    """Write tasks of one store into the folder of a share, for another process."""
    first = tasks[0]
    record = ShareRecord(
        labels=first.labels.to_json(),
        settings=first.settings.to_json(),
        folder=str(first.folder.absolute()),
        identity=first.identity,
        cases=[task.case.to_json() for task in tasks],
    )
    write_json(folder / TASKS, record)
    (folder / PROBLEMS).unlink(missing_ok=True)


def read_share(folder: Path) -> list[CaseTask]:
    """The tasks of a share.

    Raises:
        InputError: When the record is missing or damaged.
    """
    with read_record(folder / TASKS, ShareRecord, AGAIN) as record:
        labels = LabelTable.from_json(record["labels"])
        settings = Preprocessing.from_json(record["settings"])
        store, identity = Path(record["folder"]), record["identity"]
        cases = [Case.from_json(case) for case in record["cases"]]
        return [CaseTask(case, labels, settings, store, identity) for case in cases]


def write_problems(folder: Path, errors: dict[str, InputError]) -> None:
    """Leave word of the cases that could not be prepared, by their ids."""
    write_json(folder / PROBLEMS, {id: list(error.problems) for id, error in errors.items()})


def read_problems(folder: Path) -> dict[str, InputError]:
    """Inverse of `write_problems`.

    Raises:
        InputError: When there is no word: the share was not worked on to its end.
    """
    with read_record(folder / PROBLEMS, dict[str, list[str]], AGAIN) as problems:
        return {id: InputError(listed) for id, listed in problems.items()}
