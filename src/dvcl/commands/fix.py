"""Write a corrected copy of a whole data set, and say what was changed and what was left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dvcl.commands.check import Checked
from dvcl.datasets.checks.repair import Repair, RepairOptions, repair_case
from dvcl.datasets.dataset import ROLES, Case
from dvcl.errors import InputError, counted, quoted
from dvcl.files import require_writable, write_json

REPORT = "changes.json"
LISTED = 20  # changes on the screen


@dataclass(frozen=True)
class Fixed:
    """A corrected copy.

    Attributes:
        folder: With labelled/, unlabelled/, validation/, test/ and labels.json.
        repairs: One per case.
    """

    folder: Path
    repairs: tuple[Repair, ...]

    @property
    def changes(self) -> list[str]:
        """One line per change."""
        return [change for repair in self.repairs for change in repair.changes]

    @property
    def left_out(self) -> list[Repair]:
        """Cases that could not be corrected."""
        return [repair for repair in self.repairs if repair.left]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "changes": self.changes,
            "left_out": {r.case: [f.to_json() for f in r.left] for r in self.left_out},
        }


def fix_scans(
    checked: Checked,
    out: Path,
    options: RepairOptions,
    progress: Callable[[int, int, str], None] | None = None,
) -> Fixed:
    """Write plain folders: corrected copies where needed, plain ones of the rest.

    Args:
        checked: What `check_scans` found.
        out: A new or empty folder.
        options: What may be changed.
        progress: Called with cases done, cases in all and the id of the last one.

    Raises:
        InputError: When the data set was not understood, or ``out`` holds something.
    """
    if checked.dataset is None:
        raise InputError(
            "--fix: the folders are not in order, so there is nothing to correct in their files "
            "yet. Correct what is listed as layout first."
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"--fix {out}: is not empty; nothing is replaced. Choose a new folder.")
    require_writable(out)
    repairs = []
    for report in checked.reports:
        folder = out / _part(report.case)
        repairs.append(repair_case(report, folder, options, checked.dataset.labels))
        if progress is not None:
            progress(len(repairs), len(checked.reports), report.case.id)
    fixed = Fixed(out, tuple(repairs))
    # Without stray values: the copies have none.
    labels = replace(checked.dataset.labels, aliases=())
    write_json(out / "labels.json", labels.to_json())
    write_json(out / REPORT, fixed.to_json())
    return fixed


def fixed_in_words(fixed: Fixed) -> str:
    """What was changed, what was left out, and the options for the next command."""
    lines = [f"changed  {change}" for change in fixed.changes[:LISTED]]
    lines += [f"left out {r.case}: {', '.join(f.code for f in r.left)}" for r in fixed.left_out]
    written = len(fixed.repairs) - len(fixed.left_out)
    changed = sum(bool(repair.changes) for repair in fixed.repairs)
    parts = [part for part in ROLES if (fixed.folder / part).is_dir()]
    options = [f"--{part} {quoted(fixed.folder / part)}" for part in parts]
    options.append(f"--labels {quoted(fixed.folder / 'labels.json')}")
    return "\n".join(
        [
            *lines,
            f"{written} of {counted(len(fixed.repairs), 'case')} written to {fixed.folder}, "
            f"{changed} of them changed; every change: {fixed.folder / REPORT}",
            f"Next: dvcl check {' '.join(options)}",
        ]
    )


def _part(case: Case) -> str:
    return case.role or ("labelled" if case.label else "unlabelled")
