"""Many methods over seeds: one row each, mean and standard deviation over the seeds' means."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from dvcl.evaluation.collapse import Collapses, dagger, told
from dvcl.evaluation.summary import Spread, Summary, spread
from dvcl.report.tables import UNDEFINED, TextTable, percent

Runs = Mapping[str, Sequence[Summary]]

NOT_SCORED = "not scored"


def seeds_table(
    runs: Runs,
    seconds: Mapping[str, float],
    last: Runs | None = None,
    collapses: Collapses | None = None,
    scored: str = "test",
) -> TextTable:
    """Means over organs of every method, the best of a column stressed.

    Args:
        runs: Name -> one summary per seed, in the order of the rows.
        seconds: Name -> median seconds per step.
        last: The same of the last weights; fewer, or none, where they were not scored.
        collapses: Trainings to be marked, from `collapse.collapsed`.
        scored: Which cases were scored, "test" or "validation".
    """
    last, collapses = last or {}, collapses or {}
    columns = {
        "Dice %": ("mean_dice", 100, 2, 1),
        "Jaccard %": ("mean_jaccard", 100, 2, 1),
        "NSD %": ("mean_nsd", 100, 2, 1),
        "HD95 mm": ("mean_hd95_mm", 1, 1, -1),
        "ASSD mm": ("mean_assd_mm", 1, 2, -1),
    }
    spreads = [
        [spread([getattr(summary, score) for summary in summaries]) for summaries in runs.values()]
        for score, *_ in columns.values()
    ]
    cells = [
        [shown(found, scale, digits) for found in column]
        for column, (_, scale, digits, _) in zip(spreads, columns.values(), strict=True)
    ]
    finals = [_last(last.get(name, ()), len(summaries)) for name, summaries in runs.items()]
    strong = {
        (row, column + 2 + (column > 0))
        for column, (found, (*_, sign)) in enumerate(zip(spreads, columns.values(), strict=True))
        for row in best_rows(found, sign)
    }
    rows = [
        (
            f"{name}{dagger(name, collapses)}",
            str(len(summaries)),
            *(column[row] for column in cells[:1]),
            finals[row],
            *(column[row] for column in cells[1:]),
            f"{seconds[name]:.2f}",
        )
        for row, (name, summaries) in enumerate(runs.items())
    ]
    first, *others = columns
    notes = [
        f"Mean over organs, each averaged over its {scored} cases first; ± standard deviation over "
        "seeds, where there are several. Weights are those of the best validation; last: the Dice "
        "of the last ones, which nobody chose.",
        told(collapses),
    ]
    return TextTable(
        ("Method", "Seeds", first, f"{first}, last", *others, "s/step"),
        tuple(rows),
        " ".join(filter(None, notes)),
        frozenset(strong),
    )


def _last(summaries: Sequence[Summary], seeds: int) -> str:
    """Dice of the last weights, over the same seeds or not at all."""
    if len(summaries) < seeds:
        return NOT_SCORED
    return shown(spread([summary.mean_dice for summary in summaries]), 100, 2)


def organs_table(runs: Runs, collapses: Collapses | None = None, scored: str = "test") -> TextTable:
    """Dice in percent of every organ (column) and method (row); arguments as of `seeds_table`."""
    collapses = collapses or {}
    organs = list(
        dict.fromkeys(
            organ.organ for summaries in runs.values() for s in summaries for organ in s.organs
        )
    )
    found = [[dice_over_seeds(summaries, organ) for summaries in runs.values()] for organ in organs]
    means = [spread([s.mean_dice for s in summaries]) for summaries in runs.values()]
    columns = [*found, means]
    notes = [
        f"Dice in percent, mean over the {scored} cases that have the organ; ± standard deviation "
        "over seeds, where there are several.",
        told(collapses),
    ]
    return TextTable(
        ("Method", *organs, "Mean"),
        tuple(
            (
                f"{name}{dagger(name, collapses)}",
                *(shown(column[row], 100, 2) for column in columns),
            )
            for row, name in enumerate(runs)
        ),
        " ".join(filter(None, notes)),
        frozenset(
            (row, place) for place, column in enumerate(columns, 1) for row in best_rows(column, 1)
        ),
    )


def dice_over_seeds(summaries: Sequence[Summary], organ: str) -> Spread:
    """One organ's Dice: mean over its cases first, then over seeds."""
    return spread(
        [row.dice.mean for summary in summaries for row in summary.organs if row.organ == organ]
    )


def shown(found: Spread, scale: float, digits: int) -> str:
    """Such as "84.11 ± 0.08"; the mean alone where it has no spread, a dash where it is NaN."""
    if math.isnan(found.mean):
        return UNDEFINED
    mean = f"{scale * found.mean:.{digits}f}"
    return mean if math.isnan(found.sd) else f"{mean} ± {scale * found.sd:.{digits}f}"


def best_rows(column: Sequence[Spread], sign: int) -> list[int]:
    """Rows that share the best printed mean; none where nothing sets them apart."""
    values = {row: sign * found.mean for row, found in enumerate(column) if found.defined}
    printed = {row: percent(value) for row, value in values.items()}
    if len(set(printed.values())) < 2:
        return []
    best = printed[max(values, key=lambda row: values[row])]
    return [row for row, cell in printed.items() if cell == best]
