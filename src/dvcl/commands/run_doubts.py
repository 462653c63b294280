"""What is doubtful about runs themselves, whatever scans they are given."""

from __future__ import annotations

from collections.abc import Sequence

from dvcl.errors import quoted
from dvcl.recipe import Recipe
from dvcl.studies.run import Run


def doubts_of_runs(runs: Sequence[Run]) -> list[str]:
    """What is to be told before runs predict, one line each: unfinished ones, small windows."""
    again = "Better: train again, under another --name, with "
    # Runs that predict together have one window.
    windows = {
        doubt: run.folder for run in runs[::-1] for doubt in window_doubts(run.recipe, again)
    }
    return [
        *filter(None, (run.unfinished() for run in runs)),
        *(f"{folder}: {doubt}" for doubt, folder in windows.items()),
    ]


def window_doubts(recipe: Recipe, better: str = "Better: ") -> list[str]:
    """A line where windows of the prediction are smaller than patches of the training.

    Args:
        recipe: Of a run.
        better: What stands before the settings that mend it.
    """
    patch, window = recipe.sampling.patch, recipe.window.size
    if all(side >= least for side, least in zip(window, patch, strict=True)):
        return []
    larger = [max(sides) for sides in zip(window, patch, strict=True)]
    sides = {"size": larger, "stride": [n // 2 for n in larger]}
    settings = [quoted(f"window.{key}={value}".replace(" ", "")) for key, value in sides.items()]
    return [
        f"window.size: {[*window]} found, less than the patches of {[*patch]} voxels that a "
        "network learns from; it normalises over what it sees, and masks of smaller windows may be "
        f"far worse. {better}--set {' --set '.join(settings)}"
    ]
