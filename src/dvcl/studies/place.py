"""Where a study is."""

from __future__ import annotations

from pathlib import Path

PROJECT = "project.json"


def study_around(path: Path) -> Path | None:
    """The study that a path, existing or not, is or would lie in; None outside of any."""
    return next((place for place in (path, *path.parents) if (place / PROJECT).exists()), None)


def store_now(recorded: Path, run: Path) -> Path:
    """The prepared cases of a run, which has recorded where they were.

    A study may have been renamed or copied since: they are those of the study that the run lies in.
    """
    study = study_around(run.absolute())
    own = study / "store" / recorded.name if study else recorded
    return own if own.exists() else recorded
