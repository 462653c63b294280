"""What a comparison came to, and how a person is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dvcl.commands.console import console
from dvcl.comparison.findings import Findings
from dvcl.report.sections import SectionedTable, sections_to_rich
from dvcl.report.tables import TextTable, to_rich


@dataclass(frozen=True)
class Outcome:
    """What a comparison came to.

    Attributes:
        findings: Tables of the finished runs, by study and group.
        failed: Title and reason of the failed runs.
        note: Where everything is.
        twins: What the unlabelled scans were worth, in a sentence and by organ, where asked for.
        tables: The paper's table that was asked for, one per study.
        labels: What more labels are worth, one per study.
    """

    findings: list[Findings]
    failed: dict[str, str]
    note: str
    twins: Sequence[tuple[str, TextTable]] = ()
    tables: Sequence[SectionedTable] = ()
    labels: Sequence[tuple[str, TextTable]] = ()


def show_outcome(outcome: Outcome) -> None:
    """Print the tables; where one of the paper was asked for, that one alone."""
    for made in outcome.tables:
        console.print(sections_to_rich(made, console))
    for found in () if outcome.tables else outcome.findings:
        console.print(found.title)
        for shown in (found.means, found.differences):
            if shown:
                console.print(to_rich(shown))
    for title, gains in () if outcome.tables else outcome.labels:
        console.print(f"{title}: what more labels are worth", markup=False)
        console.print(to_rich(gains))
    for answer, twins in outcome.twins:
        console.print(to_rich(twins))
        console.print(answer, markup=False)
    for title, reason in outcome.failed.items():
        console.print(f"failed: {title}: {reason}", markup=False)
    console.print(outcome.note, markup=False)
