"""What a comparison came to, and how a person is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dvcl.commands.console import console
from dvcl.comparison.across import Across
from dvcl.comparison.findings import Findings
from dvcl.report.sections import SectionedTable, sections_facts, sections_to_rich
from dvcl.report.tables import TextTable, to_rich


@dataclass(frozen=True)
class Outcome:
    """What a comparison came to.

    Attributes:
        findings: Tables of the finished runs, by study and group.
        across: What these say together.
        failed: Title and reason of the failed runs.
        note: Where everything is.
        twins: What the unlabelled scans were worth, in a sentence and by organ, where asked for.
        tables: The paper's table that was asked for, one per study.
    """

    findings: list[Findings]
    across: Across
    failed: dict[str, str]
    note: str
    twins: Sequence[tuple[str, TextTable]] = ()
    tables: Sequence[SectionedTable] = ()


def outcome_facts(outcome: Outcome) -> dict[str, Any]:
    """For programs; all numbers of a comparison are in its ``report.json``."""
    groups = [
        {
            "title": found.title,
            "means": _rows(found.means),
            "differences": _rows(found.differences) if found.differences else [],
        }
        for found in outcome.findings
    ]
    return {
        "groups": groups,
        "twins": [{"answer": answer, "rows": _rows(table)} for answer, table in outcome.twins],
        "tables": [sections_facts(table) for table in outcome.tables],
        "failed": outcome.failed,
        "note": outcome.note,
    }


def _rows(table: TextTable) -> list[dict[str, str]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def show_outcome(outcome: Outcome) -> None:
    """Print the tables; where one of the paper was asked for, that one alone."""
    for made in outcome.tables:
        console.print(sections_to_rich(made))
    for found in () if outcome.tables else outcome.findings:
        console.print(found.title)
        for shown in (found.means, found.differences):
            if shown:
                console.print(to_rich(shown))
    if outcome.across.overview and not outcome.tables:
        console.print(to_rich(outcome.across.overview))
    for curve in () if outcome.tables else outcome.across.labels:
        console.print(f"{curve.title}: what more labels are worth", markup=False)
        console.print(to_rich(curve.table))
    for answer, twins in outcome.twins:
        console.print(to_rich(twins))
        console.print(answer, markup=False)
    for title, reason in outcome.failed.items():
        console.warn(f"failed: {title}: {reason}")
    console.print(outcome.note, markup=False)
