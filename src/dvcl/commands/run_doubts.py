"""What is doubtful about runs themselves, whatever scans they are given."""

from __future__ import annotations

from collections.abc import Sequence

from dvcl.errors import quoted
from dvcl.recipe import Recipe
from dvcl.studies.run import Run

# A window for one patch, along an axis: the paper's have 1.25 times its size; with 1.5 masks were
# worse by one to seven points of Dice (docs/experiments.md).
MOST_GROWTH = 1.25


def doubts_of_runs(runs: Sequence[Run]) -> list[str]:
    """What is to be told before runs predict, one line each: unfinished ones, other windows."""
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
    """A line where windows of the prediction are far from the patches of the training.

    Args:
        recipe: Of a run.
        better: What stands before the settings that mend it.
    """
    patch, window = recipe.sampling.patch, recipe.window.size
    shares = [side / seen for side, seen in zip(window, patch, strict=True)]
    if min(shares) >= 1 and max(shares) <= MOST_GROWTH:
        return []
    fitting = [
        side if 1 <= share <= MOST_GROWTH else seen
        for side, seen, share in zip(window, patch, shares, strict=True)
    ]
    sides = {"size": fitting, "stride": [n // 2 for n in fitting]}
    settings = [quoted(f"window.{key}={value}".replace(" ", "")) for key, value in sides.items()]
    found, worse = ("less", "far worse") if min(shares) < 1 else ("far more", "worse by points")
    return [
        f"window.size: {[*window]} found, {found} than the patches of {[*patch]} voxels that a "
        "network learns from; it normalises over what it sees, and masks of such windows may be "
        f"{worse}. {better}--set {' --set '.join(settings)}"
    ]
