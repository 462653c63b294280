"""Trainings that went wrong: a mean over seeds must not hide them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from dvcl.evaluation.summary import Summary

# Far below the other seeds: by so much mean Dice, and so many times the range of these.
FAR, RANGES = 0.1, 3.0
FOUND = 0.1  # mean Dice of an organ; a few voxels of overlap are chance

Rows = Mapping[str, Mapping[int, Summary]]
Collapses = Mapping[str, Mapping[int, str]]


def collapsed(rows: Rows) -> dict[str, dict[int, str]]:
    """Trainings that collapsed, and how: row -> seed -> such as "never finds spleen".

    An organ that a training finds in no case counts where at least half of the row's other seeds,
    or more than half of the other rows' trainings, find it with a mean Dice of 10 % or more.

    Args:
        rows: Name -> seed -> scores on the same cases.
    """
    found = {
        name: {seed: said for seed in seeds if (said := _said(rows, name, seed))}
        for name, seeds in rows.items()
    }
    return {name: seeds for name, seeds in found.items() if seeds}


def dagger(name: str, collapses: Collapses) -> str:
    """What stands behind a row of which a training collapsed."""
    return " †" if name in collapses else ""


def told(collapses: Collapses, where: str = "") -> str:
    """For a caption, in which ``where`` names a part; nothing where nothing collapsed."""
    said = [
        f"{name} with seed {seed} {how}"
        for name, seeds in collapses.items()
        for seed, how in seeds.items()
    ]
    place = f" ({where})" if where else ""
    return (
        f"† collapsed training, in the means all the same{place}: {'; '.join(said)}."
        if said
        else ""
    )


def _said(rows: Rows, name: str, seed: int) -> str:
    own = rows[name][seed]
    siblings = [summary for other, summary in rows[name].items() if other != seed]
    strangers = [
        summary for row, seeds in rows.items() if row != name for summary in seeds.values()
    ]
    lost = [
        organ
        for organ in _never_found(own)
        if 2 * _finding(organ, siblings) >= max(1, len(siblings))
        or 2 * _finding(organ, strangers) > max(1, len(strangers))
    ]
    if lost:
        organs = "any organ" if len(lost) == own.organs_defined else ", ".join(lost)
        return f"never finds {organs}"
    return _far_below(own, siblings)


def _far_below(own: Summary, siblings: Sequence[Summary]) -> str:
    means = [summary.mean_dice for summary in siblings]
    if not means or not min(means) - own.mean_dice > max(FAR, RANGES * (max(means) - min(means))):
        return ""
    others = "the other seed" if len(means) == 1 else "all others"
    return f"is {100 * (min(means) - own.mean_dice):.0f} points below {others}"


def _finding(organ: str, summaries: Iterable[Summary]) -> int:
    return sum(
        row.organ == organ and row.dice.mean >= FOUND
        for summary in summaries
        for row in summary.organs
    )


def _never_found(summary: Summary) -> list[str]:
    """Organs of the references with no right voxel in any case, whether missed or misplaced."""
    return [row.organ for row in summary.organs if row.dice.mean == 0]
