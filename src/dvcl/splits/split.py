"""Which case is for what: labelled, unlabelled, validation, test; checked, saved and read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from dvcl.datasets.dataset import ROLES, Dataset
from dvcl.errors import InputError
from dvcl.files import read_json, write_json


@dataclass(frozen=True)
class Split:
    """Case ids by role, each sorted.

    Attributes:
        labelled: Trained on with their labels.
        unlabelled: Trained on without labels, even where label files exist.
        validation: Choose the best checkpoint.
        test: Only ever evaluated.
        seed: Of the division.
        note: What a reader of the results should know about the division; may be empty.
    """

    labelled: tuple[str, ...]
    unlabelled: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    seed: int
    note: str = ""

    def parts(self) -> dict[str, tuple[str, ...]]:
        """Ids by role."""
        return {role: getattr(self, role) for role in ROLES}


def check_cases(split: Split, dataset: Dataset) -> None:
    """Make sure that the data set has the cases of a split, with labels where they are needed.

    Raises:
        InputError: When there is no labelled case, or an id is unknown, occurs twice in one part,
            is to be trained on or validated with but has no label, or to be validated with or
            tested on with a predicted one; lists them all.
    """
    known = {case.id for case in dataset.cases}
    with_label = {case.id for case in dataset.cases if case.label and case.role != "unlabelled"}
    predicted = {case.id for case in dataset.cases if case.pseudo_label}
    problems = [] if split.labelled else ["labelled: no case; at least one was expected."]
    for role, ids in split.parts().items():
        for case_id, times in Counter(ids).items():
            if case_id not in known:
                problems.append(f"{case_id} ({role}): no such case in the data set.")
            elif role in ("labelled", "validation") and case_id not in with_label:
                problems.append(f"{case_id} ({role}): has no label.")
            if role in ("validation", "test") and case_id in predicted:
                problems.append(
                    f"{case_id} ({role}): its label is predicted, and says nothing there."
                )
            if times > 1:
                problems.append(f"{case_id} ({role}): occurs {times} times.")
    if problems:
        raise InputError(
            problems,
            heading=f"the split does not fit the data set {dataset.name!r}; correct the split, or "
            "prepare the data set with these cases:",
        )


def scored_part(scored: Iterable[str], test: Iterable[str]) -> str:
    """Of which part scored cases are: "test", or "validation" of a run without test cases.

    Args:
        scored: Ids of the cases with scores.
        test: Those of the split's test cases.
    """
    return "validation" if set(test).isdisjoint(scored) else "test"


def write_split(path: Path | str, split: Split) -> None:
    """Write as JSON, atomically."""
    write_json(path, asdict(split))


def read_split(path: Path | str) -> Split:
    """Read a split written by `write_split`, or by hand.

    Raises:
        InputError: When the file is missing or not JSON, a key is missing or unknown, or an entry
            is not a list of ids.
    """
    absent = "Check the path; `dvcl train` writes a split.json into the folder of every run."
    value = read_json(path, absent=absent)
    expected = {*ROLES, "seed"}
    if not isinstance(value, dict) or not expected <= set(value) <= expected | {"note"}:
        found = sorted(value) if isinstance(value, dict) else type(value).__name__
        raise InputError(
            f"{path}: holds {found}; a split with the entries {sorted(expected)} (and note) was "
            "expected. Correct the file or make the split again."
        )
    wrong = [
        f"{path}: the entry {role!r} is {value[role]!r}; a list of case ids was expected."
        for role in ROLES
        if not isinstance(value[role], list) or not all(isinstance(i, str) for i in value[role])
    ]
    if not isinstance(value["seed"], int):
        wrong.append(f"{path}: the entry 'seed' is {value['seed']!r}; a number was expected.")
    if wrong:
        raise InputError(wrong)
    parts = {role: tuple(value[role]) for role in ROLES}
    return Split(**parts, seed=value["seed"], note=str(value.get("note", "")))
