"""Which cases, methods and organs of a comparison are shown in pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dvcl.comparison.findings import Findings, dice_by_case
from dvcl.datasets.dataset import Dataset
from dvcl.errors import InputError
from dvcl.evaluation.summary import spread
from dvcl.methods import BASELINE, METHODS
from dvcl.report.tables import TextTable, percent

OURS = "dvcl"
MOST_COLUMNS = 5
WORST = 5


@dataclass(frozen=True)
class Chosen:
    """What a person wants to see; nothing chosen leaves it to the program.

    Attributes:
        case: Of the figure of sections.
        methods: In the pictures, beside the reference.
        organs: Of the validation curves.
    """

    case: str | None = None
    methods: tuple[str, ...] = ()
    organs: tuple[str, ...] = ()


UNCHOSEN = Chosen()


def names(text: str | None) -> tuple[str, ...]:
    """Names with commas between them; none without a text."""
    return tuple(name.strip() for name in text.split(",")) if text else ()


def check_chosen(chosen: Chosen, datasets: Sequence[Dataset]) -> None:
    """Refuse what no study has, before any work.

    Raises:
        InputError: With everything that cannot be shown.
    """
    cases = {case.id for dataset in datasets for case in dataset.cases}
    organs = [organ for dataset in datasets for organ in dataset.labels.organs]
    problems = [
        f"--organs {organ!r}: expected among {', '.join(dict.fromkeys(organs))}."
        for organ in chosen.organs
        if organ not in organs
    ]
    problems += [
        f"--show {method!r}: expected among {', '.join(METHODS)}."
        for method in chosen.methods
        if method not in METHODS
    ]
    if len(chosen.methods) > MOST_COLUMNS:
        problems.append(f"--show: {len(chosen.methods)} methods found; at most {MOST_COLUMNS} fit.")
    if chosen.case is not None and chosen.case not in cases:
        problems.append(
            f"--case {chosen.case!r}: no case of {', '.join(d.name for d in datasets)}; one of the "
            "scored cases was expected."
        )
    if problems:
        raise InputError(problems, "this cannot be shown:")


def shown_methods(found: Findings, asked: Sequence[str] = ()) -> list[str]:
    """Those asked for; else baseline, the best others, and DVCL, in the order of the rows."""
    known = [name for name in asked if name in found.runs]
    if known:
        return known
    fixed = [name for name in (BASELINE, OURS) if name in found.runs]
    others = [name for name in by_dice(found) if name not in fixed]
    chosen = {*fixed, *others[: MOST_COLUMNS - 1 - len(fixed)]}
    return [name for name in found.runs if name in chosen]


def by_dice(found: Findings) -> list[str]:
    """Rows from the highest to the lowest mean Dice; those without one last."""
    means = {
        name: spread([summary.mean_dice for summary in seeds]).mean
        for name, seeds in found.summaries.items()
    }
    return sorted(means, key=lambda name: _down(means[name]))


def typical_case(found: Findings) -> str:
    """The median case of the best method; of an even number the worse of the two."""
    dice = dice_by_case(found.summaries)[by_dice(found)[0]]
    ranking = sorted(dice, key=lambda case: _down(dice[case]))
    known = [case for case in ranking if not math.isnan(dice[case])] or ranking
    return known[len(known) // 2]


def worst_cases(found: Findings) -> list[str]:
    """Up to five cases with the lowest Dice, averaged over methods, the worst first."""
    dice = _over_methods(found)
    known = [case for case in dice if not math.isnan(dice[case])]
    return sorted(known, key=lambda case: dice[case])[:WORST]


def worst_table(found: Findings) -> TextTable:
    """Dice of every method (column) in these cases."""
    means, over_methods = dice_by_case(found.summaries), _over_methods(found)
    return TextTable(
        ("Case", "Mean", *means),
        tuple(
            (case, percent(over_methods[case]),
             *(percent(dice.get(case, math.nan)) for dice in means.values()))
            for case in worst_cases(found)
        ),
        "Dice in percent, mean over the case's organs and over seeds. Mean: over methods, by which "
        "the cases are chosen.",
    )  # fmt: skip


def hardest_organs(found: Findings, most: int = 4) -> list[str]:
    """Those with the lowest Dice over all methods and seeds, in the order of the label table."""
    dice: dict[str, list[float]] = {}
    for summaries in found.summaries.values():
        for organ in (organ for summary in summaries for organ in summary.organs):
            dice.setdefault(organ.organ, []).append(organ.dice.mean)
    means = {organ: spread(values).mean for organ, values in dice.items()}
    known = [organ for organ in means if not math.isnan(means[organ])]
    hardest = sorted(known, key=lambda organ: means[organ])[:most]
    return [organ for organ in means if organ in hardest]


def _over_methods(found: Findings) -> dict[str, float]:
    means = dice_by_case(found.summaries).values()
    cases = dict.fromkeys(case for dice in means for case in dice)
    return {case: spread([d.get(case, math.nan) for d in means]).mean for case in cases}


def _down(value: float) -> float:
    return math.inf if math.isnan(value) else -value
