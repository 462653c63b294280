"""Where a study is."""

from __future__ import annotations

from pathlib import Path

PROJECT = "project.json"


def study_around(path: Path) -> Path | None:
    """The study that a path, existing or not, is or would lie in; None outside of any."""
    return next((place for place in (path, *path.parents) if (place / PROJECT).exists()), None)


def place_now(recorded: Path, store: Path, run: Path) -> Path:
    """Where something is that a run's record names: its prepared cases, or the run it began with.

    A study may have been renamed or copied since: what lay in it lies in that of the run.

    Args:
        recorded: Where it was.
        store: Where the run's prepared cases were by the same record, in ``STUDY/store/``.
        run: The run's folder now.
    """
    then, study = store.parent.parent, study_around(run.absolute())
    if study is None or not recorded.is_relative_to(then):
        return recorded
    own = study / recorded.relative_to(then)
    return own if own.exists() or not recorded.exists() else recorded
