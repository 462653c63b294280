"""Learn from held-out cases how far predictions are off, so that others carry their limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import combinations
from pathlib import Path

import torch

from dvcl.commands.clean_up import cleaned, to_clean
from dvcl.commands.predict_memory import refuse_too_large
from dvcl.datasets.dataset import Case
from dvcl.datasets.masks import read_case_label
from dvcl.errors import InputError, counted
from dvcl.evaluation.cases import CaseScore, evaluate_case
from dvcl.evaluation.conformal import cases_needed
from dvcl.inference.predict import segment
from dvcl.inference.uncertainty import Sure
from dvcl.report.tables import TextTable, percent
from dvcl.studies.calibration import (
    Calibration,
    CalibrationCase,
    HeldOut,
    OrganCalibration,
    made_of,
    write_calibration,
)
from dvcl.studies.members import Members
from dvcl.studies.project import Progress
from dvcl.studies.scans import scans_of
from dvcl.studies.scored import held_out_cases
from dvcl.studies.seen import read_seen
from dvcl.volume import read_volume

WHY_TEST = (
    "Validation cases have chosen the weights, which fit them better than other scans: they count "
    "only with --cases validation."
)


def calibrate(
    members: Members,
    *,
    level: float,
    held_out: HeldOut,
    device: torch.device,
    keep_largest: Sequence[str] | None = None,
    progress: Progress | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> tuple[Path, Calibration]:
    """Predict held-out cases, and write how far off the predictions were.

    Runs that share their held-out cases predict them together; runs of a cross-validation each
    predict their own.

    Args:
        members: That are to predict other scans.
        level: With which limits are to hold, in (0, 1).
        held_out: Which cases.
        device: Where to predict.
        keep_largest: As for `predict_files`.
        progress: Called with cases done, cases in all, case.
        tell: Called with a line for each organ of which too few cases were found.

    Returns:
        The file, and what it says.

    Raises:
        InputError: When there are no such cases, the runs share some of them, too few show any
            organ, or one cannot be predicted.
    """
    if not 0 < level < 1:
        raise InputError(f"--level: {level} found, a number between 0 and 1, as 0.9, expected.")
    cases = [held_out_cases(run, held_out) for run in members.runs]
    is_cross = _is_cross(members, cases, held_out)
    needed = cases_needed(level)
    if (count := sum(map(len, cases)) if is_cross else len(cases[0])) < needed:
        raise InputError(
            _too_few(members, held_out, f"{counted(count, f'{held_out} case')}", level)
        )
    clean = to_clean(members.first, read_seen(members.first), keep_largest, tell)
    groups = list(enumerate(cases)) if is_cross else [(0, cases[0])]
    organs = _held_against(
        _predicted(members, groups, is_cross, clean, device), members, count, progress
    )
    most = max(len(organ.cases) for organ in organs.values())
    if most < needed:
        shown = f"no organ found in more than {counted(most, f'{held_out} case')}"
        raise InputError(_too_few(members, held_out, shown, level))
    for name, organ in organs.items():
        if not organ.holds(level):
            tell(
                f"{name}: found in {counted(len(organ.cases), 'case')}, {needed} expected; it "
                "gets no limits."
            )
    made = Calibration(
        level, held_out, is_cross, tuple(members.weights), made_of(members, clean), organs
    )  # fmt: skip
    return write_calibration(members, made), made


def _held_against(
    predicted: Iterable[tuple[int, Case, list[CaseScore], Sure]],
    members: Members,
    count: int,
    progress: Progress | None,
) -> dict[str, OrganCalibration]:
    """What the cases say of every organ: where it was found, and how often it was missed."""
    found: dict[str, list[CalibrationCase]] = {}
    not_found = dict.fromkeys(members.first.labels.organs, 0)
    for done, (member, case, rows, sure) in enumerate(predicted, start=1):
        if progress:
            progress(done, count, case.id)
        for row in rows:
            if row.organ in sure and row.predicted_ml > 0 and row.reference_ml >= 0:
                found.setdefault(row.organ, []).append(_case(row, member, sure))
            not_found[row.organ] += row.predicted_ml == 0 and row.reference_ml > 0
    return {
        name: OrganCalibration(tuple(found.get(name, ())), missed)
        for name, missed in not_found.items()
    }


def _is_cross(members: Members, cases: Sequence[Sequence[Case]], held_out: HeldOut) -> bool:
    pairs = [*zip(members.runs, cases, strict=True)]
    if not all(cases):
        bare = ", ".join(str(run.folder) for run, own in pairs if not own)
        raise InputError(
            f"{bare}: has no {held_out} case with a label, on which limits could be learned. Train "
            f"with --test-share or --folds, or take other cases with --cases. {WHY_TEST}"
        )
    if len(pairs) == 1:
        return False
    scans = [scans_of(run, [case.id for case in own]) for run, own in pairs]
    if all(own.keys() == scans[0].keys() for own in scans):
        return False
    shared = {
        one[scan].id for one, other in combinations(scans, 2) for scan in one.keys() & other.keys()
    }
    if shared:
        raise InputError(
            f"calibrate: {', '.join(sorted(shared)[:5])} are {held_out} cases of some of the runs "
            "and not of all; either the same cases (seeds) or cases of one run each (--folds) were "
            "expected. Calibrate the runs by themselves."
        )
    return True


def _too_few(members: Members, held_out: HeldOut, found: str, level: float) -> str:
    return (
        f"{members.first.folder}: {found}; limits that hold with {level:.0%} take "
        f"{cases_needed(level)}. Hold more cases back ({held_out} cases), give the runs of all "
        "folds together (train --folds), or lower --level."
    )


def _predicted(
    members: Members,
    groups: Sequence[tuple[int, Sequence[Case]]],
    is_cross: bool,
    clean: Sequence[str],
    device: torch.device,
) -> Iterator[tuple[int, Case, list[CaseScore], Sure]]:
    """Each case with its scores, by all runs together or by the one that held it out."""
    for member, cases in groups:
        chosen = replace(members, runs=(members.runs[member],)) if is_cross else members
        ensemble, first = chosen.ensemble(device), chosen.first
        for case in cases:
            refuse_too_large(case.image, chosen, ensemble, maps=False)
            found = segment(
                read_volume(case.image), ensemble, first.recipe.preprocessing, chosen.window,
                first.labels, device,
            )  # fmt: skip
            reference = read_case_label(case, first.labels)
            mask, *_ = cleaned(found.mask, case.image, clean, first.labels)
            rows = evaluate_case(
                case.id, reference, mask, first.labels, unannotated=case.unannotated
            )
            yield member, case, rows, found.sure


def _case(row: CaseScore, member: int, sure: Sure) -> CalibrationCase:
    # Where the reference lacks what was found, its Dice is not undefined but as low as can be.
    return CalibrationCase(
        row.case, member, row.predicted_ml, row.reference_ml, row.dice_absent_1,
        **asdict(sure[row.organ]),
    )  # fmt: skip


def calibration_table(calibration: Calibration) -> TextTable:
    """What was learned, organ by organ."""
    rows = tuple(
        (
            name,
            str(len(organ.cases)),
            str(organ.not_found),
            *_cells(organ.numbers(calibration.level)),
        )
        for name, organ in calibration.organs.items()
    )
    return TextTable(
        ("Organ", "Cases", "Not found", "Volume ± %", "Dice at least %", "Expected Dice ± %"),
        rows,
        f"Of one more scan that is like the {calibration.held_out} cases, the true volume and the "
        f"Dice of an organ that is found are within these limits with {calibration.level:.0%}"
        f"{'; of cross-validation, see the documentation' if calibration.is_cross else ''}. "
        "Expected Dice: mean error of the estimate that each mask gets.",
    )


def _cells(numbers: Mapping[str, float] | None) -> list[str]:
    names = ("volume_error", "dice_at_least", "expected_dice_error")
    return ["–"] * 3 if numbers is None else [percent(numbers[name]) for name in names]
