"""Label maps that networks made: known by a file beside them, and not taken for a person's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from dvcl.datasets.dataset import Case
from dvcl.files import sha256_of_bytes, write_json
from dvcl.records import read_record

PSEUDO_LABELS = "pseudo-labels.json"  # beside label maps that `dvcl sheet` has accepted
AS_PREDICTED = "as-predicted.json"  # beside those that `dvcl next` lays out to be corrected
LAID_OUT = "unlabelled/to-correct"  # where in a study, unless it is told another place


def write_as_predicted(folder: Path, masks: Iterable[Path]) -> None:
    """Write down how label maps to be corrected were predicted, so that untouched ones are known.

    Args:
        folder: With ``labels/`` that hold copies of ``masks``.
        masks: As predicted.
    """
    write_json(folder / AS_PREDICTED, {mask.name: sha256_of_bytes(mask) for mask in masks})


def as_made(folder: Path, cases: list[Case], problems: list[str]) -> list[Case]:
    """Pseudo-labels marked as what they are: they teach, and nothing is measured by them.

    Args:
        folder: That the cases are from.
        cases: With labels; pseudo-labels without a role get that of labelled ones.
        problems: Gets pseudo-labels that are to measure, and label maps to be corrected that
            nobody has changed.
    """
    problems += unchanged(folder, cases)
    if not (folder / PSEUDO_LABELS).exists():
        return cases
    problems += [
        f"{folder}: holds pseudo-labels ({PSEUDO_LABELS}), which nobody has drawn or "
        f"corrected, and {role} cases were expected: a network would be measured by what "
        "networks predict. Give scans that people have labelled."
        for role in dict.fromkeys(case.role for case in cases)
        if role in ("validation", "test")
    ]
    return [replace(case, role="labelled", pseudo_label=True) for case in cases]


def unchanged(folder: Path, cases: Iterable[Case]) -> list[str]:
    """What is wrong with label maps that are still as `dvcl next` laid them out.

    Args:
        folder: That it laid out, if it did.
        cases: With labels, from this folder or copied from it under whatever names.
    """
    record = folder / AS_PREDICTED
    if not record.exists():
        return []
    with read_record(record, dict[str, str], "Let `dvcl next` make the folder again.") as read:
        predicted = {*read.values()}
    return [
        f"{mask}: is as networks predicted it ({record}), and a label map that somebody has "
        "corrected was expected. Correct it, or leave it and its scan out; where all that are "
        f"there have been looked at and need no change, delete {record}."
        for mask in (case.label for case in cases if case.label)
        if mask.is_file() and sha256_of_bytes(mask) in predicted
    ]
