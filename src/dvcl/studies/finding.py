"""A run by as little of its path as is unique: WORK, WORK/dvcl, WORK/small-ct/dvcl/seed-1."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dvcl.errors import InputError, quoted
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
    runs = _runs(study)
    fitting = [run for run in runs if names(path, run)]
    if len(fitting) == 1:
        return open_run(fitting[0])
    if not runs:
        raise InputError(
            f"{study}: has no run yet. Train one: dvcl train {quoted(study)} --method dvcl"
        )
    problem = f"fits {len(fitting)} runs" if fitting else "fits none of the study's runs"
    raise InputError(
        f"{path}: {problem}, one was expected. Name one of these, or WORK and enough of "
        f"<name>/<method>/seed-<n> to tell it from the others:\n{_listed(fitting or runs)}"
    )


def names(path: Path, run: Path) -> bool:
    """Whether a path is the folder of a run, there or not, or a study and words of it."""
    path, run = path.absolute(), run.absolute()
    study = study_around(path)
    if study is None or study != study_around(run):
        return path == run
    words = [word for word in path.relative_to(study).parts if word != "runs"]
    return _has(run.relative_to(study).parts[1:], words)


def names_some_run(path: Path) -> bool:
    """Whether a path names a run, or is too short to tell it from others."""
    study = study_around(path)
    runs = _runs(study) if study else []
    return (path / RECORD).exists() or any(names(path, run) for run in runs)


def _runs(study: Path) -> list[Path]:
    return sorted(record.parent for record in study.glob(f"runs/*/*/seed-*/{RECORD}"))


def _has(parts: Sequence[str], words: Sequence[str]) -> bool:
    """Whether all words are among the parts, in their order."""
    left = iter(parts)
    return all(word in left for word in words)


def _listed(runs: Sequence[Path]) -> str:
    lines = [f"  {run}" for run in runs[:LISTED]]
    more = [f"  and {len(runs) - LISTED} more"] if len(runs) > LISTED else []
    return "\n".join([*lines, *more])
