"""Dividing a data set: the same seed gives the same split in any order of the cases."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dvcl.datasets.dataset import ROLES, Case, Dataset
from dvcl.errors import InputError, counted
from dvcl.splits.division import Division
from dvcl.splits.split import Split
from dvcl.splits.strata import Organs, covering_order, exchange

# Fewer labelled cases than this are all needed for training.
FEWEST_TO_VALIDATE = 3
NO_ORGANS: Organs = {}


def make_split(
    dataset: Dataset,
    division: Division | None = None,
    organs: Mapping[str, frozenset[str]] = NO_ORGANS,
) -> Split:
    """Divide a data set; the same seed gives the same division in any order of the cases.

    Given roles are kept, with two exceptions: a data set without validation cases gives some of
    its labelled ones, and the note says which number; one without test cases does so where a
    ``test_share`` is asked for. Cases with a label but no role are shared out between test,
    validation and labelled; cases without a label are unlabelled. Pseudo-labels are for training,
    beside whatever number is asked for. The labelled
    cases of a smaller number are among those of a larger one. In a cross-validation every
    labelled case is a test case in exactly one fold.

    Args:
        dataset: The raw cases.
        division: Settings; None for the default ones.
        organs: {case id: the organs that its label map shows}; used when ``division.stratify``.

    Raises:
        InputError: When no labelled case is left, more labelled or unlabelled cases are asked for
            than there are, or a cross-validation or a test share does not suit the data set.
    """
    division = division or Division()
    _check_labels(dataset)
    random = np.random.default_rng(division.seed)
    organs = organs if division.stratify else NO_ORGANS
    given: dict[str, list[str]] = {
        role: [case.id for case in dataset.with_role(role)] for role in ROLES
    }
    # Nothing is measured by labels that nobody has drawn: they are for training alone.
    pseudo = [case.id for case in dataset.with_role("labelled") if case.pseudo_label]
    given["labelled"] = [case for case in given["labelled"] if case not in {*pseudo}]
    free = [case.id for case in dataset.with_role(None) if case.label]
    given["unlabelled"] += [case.id for case in dataset.with_role(None) if not case.label]
    parts, notes = _divide(dataset.name, given, free, division, organs, random)
    training = covering_order(parts["training"], organs)
    keep = _checked_number(
        division.labelled_of(len(training)), len(training), dataset.name, len(parts["validation"])
    )
    given |= {"test": given["test"] + parts["test"], "labelled": training[:keep] + pseudo}
    given["validation"] += parts["validation"]
    given["unlabelled"] = _limited(dataset.name, division, keep, training[keep:], given)
    ids = {role: tuple(sorted(given[role])) for role in ROLES}
    return Split(**ids, seed=division.seed, note=" ".join(notes))


def _divide(
    name: str,
    given: Mapping[str, list[str]],
    free: list[str],
    division: Division,
    organs: Organs,
    random: np.random.Generator,
) -> tuple[dict[str, list[str]], list[str]]:
    """Test, validation and training cases out of those that are labelled, and notes on them."""
    notes = []
    if division.folds is None:
        undecided = _shuffled(_pool_of_test(name, given, free, division), random)
        test = undecided[: _count(division.test_share, len(undecided), 1)]
        for_test = {*undecided}
    else:
        test = _fold(name, given["labelled"] + free, given["test"], division, organs, random)
        for_test = set[str]()  # the folds are settled
        notes.append(f"Fold {division.fold} of {division.folds} (0 to {division.folds - 1}).")
    left = _shuffled([case for case in given["labelled"] + free if case not in {*test}], random)
    number = 0
    if not given["validation"]:
        if len(left) >= FEWEST_TO_VALIDATE:
            every = len(left) + len(test)
            number = _count(division.validation_share, every, FEWEST_TO_VALIDATE)
        notes.append(_validation_note(number, len(left) - number, division.validation_share))
    drawn = {"test": test, "validation": left[:number], "training": left[number:]}
    parts = exchange(drawn, organs, lambda case, part: part != "test" or case in for_test)
    return parts, notes


def _pool_of_test(
    name: str, given: Mapping[str, list[str]], free: list[str], division: Division
) -> list[str]:
    """What test cases are drawn from: of a data set that names some, cases without a role alone."""
    if not division.test_share:
        return free  # none are drawn from it; a longer list would change the draws after it
    if not given["test"]:
        return given["labelled"] + free
    if not free:
        raise InputError(
            f"data set {name!r}: has {counted(len(given['test']), 'test case')} of its own, and "
            f"test_share {division.test_share:g} asks for more of cases that are for training. "
            "Leave out --test-share, or prepare without --test."
        )
    return free


def _fold(
    name: str,
    pool: list[str],
    tests: list[str],
    division: Division,
    organs: Organs,
    random: np.random.Generator,
) -> list[str]:
    """The cases of one fold; the folds' sizes differ by one at most."""
    assert division.folds is not None
    if tests:
        raise InputError(
            f"data set {name!r}: has {counted(len(tests), 'test case')} of its own, and "
            "cross-validation makes every labelled case a test case. Leave out --folds, or prepare "
            "without --test."
        )
    if len(pool) < division.folds:
        raise InputError(
            f"data set {name!r}: {counted(len(pool), 'labelled case')} cannot be divided into "
            f"{division.folds} folds; at least one for each was expected. Take fewer folds."
        )
    shuffled = _shuffled(pool, random)
    folds = {str(fold): shuffled[fold :: division.folds] for fold in range(division.folds)}
    return exchange(folds, organs)[str(division.fold)]


def _limited(
    name: str, division: Division, labelled: int, rest: list[str], given: Mapping[str, list[str]]
) -> list[str]:
    """Unlabelled cases: those that gave up their labels, then others, as many as asked for."""
    wanted = division.unlabelled_for(labelled)
    # A generator of its own, so that this draw changes no other.
    others = _shuffled(given["unlabelled"], np.random.default_rng([division.seed, 1]))
    cases = [*rest, *others]
    if wanted is not None and wanted > len(cases):
        raise InputError(
            f"data set {name!r}: {wanted} unlabelled cases were asked for with {labelled} "
            f"labelled ones, {len(cases)} are there. Add unlabelled cases, or take all with "
            "--set split.unlabelled_per_labelled=none --set split.unlabelled_cases=none."
        )
    return cases[:wanted]


def _shuffled(ids: list[str], random: np.random.Generator) -> list[str]:
    ids = sorted(ids)
    return [ids[i] for i in random.permutation(len(ids))]


def _count(share: float, cases: int, fewest: int) -> int:
    if share == 0 or cases < fewest:
        return 0
    return max(1, int(share * cases + 0.5))


def _validation_note(number: int, labelled: int, share: float) -> str:
    if number:
        return (
            f"The data set names no validation cases: validation takes {number} of its "
            f"{labelled + number} labelled ones."
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
