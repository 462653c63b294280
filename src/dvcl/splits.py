"""Which case is for what: labelled, unlabelled, validation, test; made from a seed and saved."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from dvcl.datasets.dataset import ROLES, Case, Dataset
from dvcl.errors import InputError
from dvcl.files import read_json, write_json

# Fewer labelled cases than this are all needed for training.
FEWEST_TO_VALIDATE = 3


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


def make_split(
    dataset: Dataset,
    seed: int = 0,
    labelled_cases: int | None = None,
    validation_share: float = 0.2,
    test_share: float = 0.0,
) -> Split:
    """Divide a data set; the same seed gives the same division in any order of the cases.

    Given roles are kept, with one exception: a data set without validation cases gives some of
    its labelled ones, and the note says which number. Cases with a label but no role are shared
    out between test, validation and labelled; cases without a label are unlabelled. The labelled
    cases of a smaller ``labelled_cases`` are among those of a larger one.

    Args:
        dataset: The raw cases.
        seed: Of the shuffle.
        labelled_cases: Keep so many labelled and train on the rest without labels; None keeps all.
        validation_share: In [0, 1), of the labelled cases before any are shared out; rounded, at
            least one case from three labelled ones on; 0 for no validation.
        test_share: In [0, 1), of the labelled cases without a role; rounded, at least one if any.

    Raises:
        InputError: When a share is out of range, no labelled case is left, or ``labelled_cases``
            is more than there are.
    """
    _check_shares(validation_share, test_share)
    generator = np.random.default_rng(seed)
    given = {role: [case.id for case in dataset.with_role(role)] for role in ROLES}
    free = [case for case in dataset.with_role(None) if case.label]
    given["unlabelled"] += [case.id for case in dataset.with_role(None) if not case.label]
    _check_labels(dataset)

    undecided = _shuffled([case.id for case in free], generator)
    tests = _count(test_share, len(undecided), 1)
    given["test"] += undecided[:tests]
    labelled = _shuffled(given["labelled"] + undecided[tests:], generator)
    note = ""
    if not given["validation"]:
        number = _count(validation_share, len(labelled) + tests, FEWEST_TO_VALIDATE)
        number = number if len(labelled) >= FEWEST_TO_VALIDATE else 0
        given["validation"], labelled = labelled[:number], labelled[number:]
        note = _validation_note(number, len(labelled), validation_share)
    keep = _checked_number(labelled_cases, len(labelled), dataset.name, len(given["validation"]))
    given["labelled"] = labelled[:keep]
    given["unlabelled"] += labelled[keep:]
    return Split(**{role: tuple(sorted(ids)) for role, ids in given.items()}, seed=seed, note=note)


def check_cases(split: Split, dataset: Dataset) -> None:
    """Make sure that the data set has the cases of a split, with labels where they are needed.

    Raises:
        InputError: When there is no labelled case, or an id is unknown, occurs twice in one part,
            or is to be trained on or validated with but has no label; lists them all.
    """
    known = {case.id for case in dataset.cases}
    with_label = {case.id for case in dataset.cases if case.label and case.role != "unlabelled"}
    problems = [] if split.labelled else ["labelled: no case; at least one was expected."]
    for role, ids in split.parts().items():
        for case_id in dict.fromkeys(ids):
            if case_id not in known:
                problems.append(f"{case_id} ({role}): no such case in the data set.")
            elif role in ("labelled", "validation") and case_id not in with_label:
                problems.append(f"{case_id} ({role}): has no label.")
            if ids.count(case_id) > 1:
                problems.append(f"{case_id} ({role}): occurs {ids.count(case_id)} times.")
    if problems:
        raise InputError(
            problems,
            heading=f"the split does not fit the data set {dataset.name!r}; correct the split, or "
            "prepare the data set with these cases:",
        )


def write_split(path: Path | str, split: Split) -> None:
    """Write as JSON, atomically."""
    write_json(path, asdict(split))


def read_split(path: Path | str) -> Split:
    """Read a split written by `write_split`, or by hand.

    Raises:
        InputError: When the file is missing or not JSON, a key is missing or unknown, or an entry
            is not a list of ids.
    """
    value = read_json(path)
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


def _shuffled(ids: list[str], generator: np.random.Generator) -> list[str]:
    ids = sorted(ids)
    return [ids[i] for i in generator.permutation(len(ids))]


def _count(share: float, cases: int, fewest: int) -> int:
    if share == 0 or cases < fewest:
        return 0
    return max(1, int(share * cases + 0.5))


def _validation_note(number: int, labelled: int, share: float) -> str:
    if number:
        return (
            f"The data set names no validation cases: {number} of its {labelled + number} "
            "labelled cases serve as validation."
        )
    few = f"{labelled} labelled are too few to spare one (from {FEWEST_TO_VALIDATE} on)"
    reason = "validation_share is 0" if share == 0 else few
    return f"No validation: the data set names no validation cases, and {reason}."


def _checked_number(number: int | None, available: int, name: str, validation: int) -> int:
    if available == 0:
        raise InputError(
            f"data set {name!r}: no labelled case is left to train on "
            f"({validation} serve as validation). At least one was expected: add labelled cases "
            "or lower the shares."
        )
    if number is None:
        return available
    if not 1 <= number <= available:
        raise InputError(
            f"data set {name!r}: {number} labelled cases were asked for; between 1 and "
            f"{available} were expected ({validation} more serve as validation)."
        )
    return number


def _check_shares(validation_share: float, test_share: float) -> None:
    shares = {"validation_share": validation_share, "test_share": test_share}
    problems = [
        f"{name} = {share}: a share in [0, 1) was expected."
        for name, share in shares.items()
        if not 0 <= share < 1
    ]
    if validation_share + test_share >= 1 and not problems:
        problems.append(
            f"validation_share + test_share = {validation_share + test_share}: less than 1 was "
            "expected, so that cases are left to train on."
        )
    if problems:
        raise InputError(problems)


def _check_labels(dataset: Dataset) -> None:
    def lacks(case: Case) -> bool:
        return case.role in ("labelled", "validation") and case.label is None

    problems = [
        f"case {case.id}: is to be used as {case.role} but has no label file."
        for case in dataset.cases
        if lacks(case)
    ]
    if problems:
        raise InputError(problems, heading=f"data set {dataset.name!r}: labels are missing:")
