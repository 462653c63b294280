"""A run by as little of its path as is unique: WORK, WORK/dvcl, WORK/small-ct/dvcl/seed-1."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dvcl.errors import InputError
from dvcl.studies.place import study_around
from dvcl.studies.run import Run, open_run

RECORD = "run.json"
LISTED = 20


def find_run(path: Path) -> Run:
    """Open the run that a path names: its folder, or a study and words of the run's own path.

    The words are parts of ``<name>/<method>/seed-<n>`` in this order; as many as make it unique.

    Raises:
        InputError: When no run or several fit, with those that do; or as `open_run`.
    """
    study = None if (path / RECORD).exists() else study_around(path)
    if study is None:
        return open_run(path)
    runs = sorted(record.parent for record in study.glob(f"runs/*/*/seed-*/{RECORD}"))
    words = [word for word in path.relative_to(study).parts if word != "runs"]
    fitting = [run for run in runs if _has(run.relative_to(study).parts[1:], words)]
    if len(fitting) == 1:
        return open_run(fitting[0])
    if not runs:
        raise InputError(f"{study}: has no run yet. Train one: dvcl train {study} --method dvcl")
    problem = f"fits {len(fitting)} runs" if fitting else "fits none of the study's runs"
    raise InputError(
        f"{path}: {problem}, one was expected. Name one of these, or WORK and enough of "
        f"<name>/<method>/seed-<n> to tell it from the others:\n{_listed(fitting or runs)}"
    )


def _has(parts: Sequence[str], words: Sequence[str]) -> bool:
    """Whether all words are among the parts, in their order."""
    left = iter(parts)
    return all(word in left for word in words)


def _listed(runs: Sequence[Path]) -> str:
    lines = [f"  {run}" for run in runs[:LISTED]]
    more = [f"  and {len(runs) - LISTED} more"] if len(runs) > LISTED else []
    return "\n".join([*lines, *more])
