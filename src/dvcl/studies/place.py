"""Where a study is."""

from __future__ import annotations

from pathlib import Path

PROJECT = "project.json"


def study_around(path: Path) -> Path | None:
    """The study that a path, existing or not, is or would lie in; None outside of any."""
    return next((place for place in (path, *path.parents) if (place / PROJECT).exists()), None)
