"""What groups of runs say together: every method in all of them, and what more labels are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dvcl.comparison.findings import Findings
from dvcl.comparison.label_curves import LabelCurve, label_curves
from dvcl.comparison.records import parts_scored
from dvcl.evaluation.collapse import dagger
from dvcl.evaluation.summary import spread
from dvcl.report.seeds import best_rows, shown
from dvcl.report.tables import UNDEFINED, TextTable

TITLE = "All groups"
Titled = list[tuple[str, TextTable]]


@dataclass(frozen=True)
class Across:
    """Of one comparison.

    Attributes:
        overview: Mean Dice of every method in every group; None with fewer than two groups.
        labels: What more labels are worth, one per study with several numbers of them.
    """

    overview: TextTable | None
    labels: Sequence[LabelCurve]

    @property
    def tables(self) -> dict[str, Titled]:
        """By the name of their file; those that there are."""
        found: dict[str, Titled] = {
            "overview": [(TITLE, self.overview)] if self.overview else [],
            "labels": [(curve.title, curve.table) for curve in self.labels],
        }
        return {name: tables for name, tables in found.items() if tables}


def across_groups(findings: Sequence[Findings]) -> Across:
    """Everything that needs more than one group; varied settings have tables of their own."""
    groups = [found for found in findings if not found.is_varied]
    return Across(_overview(groups), label_curves(groups))


def _overview(groups: Sequence[Findings]) -> TextTable | None:
    if len(groups) < 2:
        return None
    methods = list(dict.fromkeys(name for found in groups for name in found.runs))
    columns = [
        [spread([s.mean_dice for s in found.summaries.get(name, [])]) for name in methods]
        for found in groups
    ]
    cells = [
        [
            _cell(shown(dice, 100, 2), found, name)
            for name, dice in zip(methods, column, strict=True)
        ]
        for found, column in zip(groups, columns, strict=True)
    ]
    parts = parts_scored(r for f in groups for records in f.runs.values() for r in records)
    best = ((row, place) for place, column in enumerate(columns, 1) for row in best_rows(column, 1))
    return TextTable(
        ("Method", *(found.title for found in groups)),
        tuple((name, *(column[row] for column in cells)) for row, name in enumerate(methods)),
        f"Mean {parts} Dice in percent; ± standard deviation over seeds, where there are several; "
        "* better or worse than the method that the group's others are held against, over "
        "trainings and cases (p below 0.05, corrected for all methods of the group); from one "
        f"training there is no verdict about a method.{_daggers(groups)}",
        frozenset(best),
    )


def _cell(dice: str, found: Findings, name: str) -> str:
    against = found.paired.get(name)
    is_sure = against is not None and against.verdict != "cannot tell"
    star = " *" if is_sure and dice != UNDEFINED else ""
    return f"{dice}{star}{dagger(name, found.collapses)}"


def _daggers(groups: Sequence[Findings]) -> str:
    return " † with a collapsed training." if any(found.collapses for found in groups) else ""
