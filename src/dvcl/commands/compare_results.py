"""What a comparison found: scores of all its runs, tables, differences; only from recorded runs."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dvcl.commands.records import RunRecord, write_records
from dvcl.commands.twin import TWIN, twin_report
from dvcl.evaluation.cases import CaseScore
from dvcl.evaluation.statistics import Comparison, compare
from dvcl.evaluation.summary import Summary, case_means, summarise
from dvcl.evaluation.twin import compare_twins
from dvcl.files import write_text
from dvcl.report.differences import difference_table
from dvcl.report.exports import to_csv, to_latex
from dvcl.report.seeds import organs_table, seeds_table
from dvcl.report.tables import TextTable, to_markdown


@dataclass(frozen=True)
class Findings:
    """Of one study and one group of runs: the same data, labelled cases and settings.

    Attributes:
        title: Name of the group.
        means: Methods over seeds.
        organs: Their Dice by organ.
        differences: Paired against the baseline; None with one method.
    """

    title: str
    means: TextTable
    organs: TextTable
    differences: TextTable | None


def collect(records: Sequence[RunRecord]) -> list[Findings]:
    """Tables of finished runs, one set per study and group."""
    return [_findings(title, members) for title, members in by_label(records).items()]


def by_label(records: Sequence[RunRecord]) -> dict[str, list[RunRecord]]:
    """Records that can be compared with each other, under their common label."""
    groups: dict[str, list[RunRecord]] = {}
    for record in records:
        groups.setdefault(record.entry.label, []).append(record)
    return groups


def write_findings(
    folder: Path, records: Sequence[RunRecord], findings: Sequence[Findings]
) -> None:
    """Write the records, and every table as Markdown, LaTeX and CSV."""
    write_records(folder, records)
    tables = {
        "means": [(found.title, found.means) for found in findings],
        "organs": [(found.title, found.organs) for found in findings],
        "differences": [(f.title, f.differences) for f in findings if f.differences],
    }
    for name, titled in tables.items():
        for suffix, form, heading in (
            (".md", to_markdown, "## {}\n\n"),
            (".tex", to_latex, "% {}\n"),
            (".csv", to_csv, "# {}\n"),
        ):
            parts = [heading.format(title) + form(table) for title, table in titled]
            write_text(folder / f"{name}{suffix}", "\n".join(parts))


def _findings(title: str, records: Sequence[RunRecord]) -> Findings:
    by_method: dict[str, list[RunRecord]] = {}
    for record in records:
        by_method.setdefault(record.entry.method, []).append(record)
    summaries = {
        method: [summarise(record.scores) for record in members]
        for method, members in by_method.items()
    }
    seconds = {
        method: statistics.median(record.seconds_per_step for record in members)
        for method, members in by_method.items()
    }
    found = paired(summaries)
    return Findings(
        title,
        seeds_table(summaries, seconds),
        organs_table(summaries),
        difference_table(found, baseline(summaries)) if found else None,
    )


def twins_of(records: Sequence[RunRecord]) -> list[tuple[str, TextTable]]:
    """What unlabelled scans were worth to every method that was trained beside supervised."""
    found = []
    for title, members in by_label(records).items():
        seeds: dict[str, list[Sequence[CaseScore]]] = {}
        for record in members:
            seeds.setdefault(record.entry.method, []).append(record.scores)
        twin = seeds.pop(TWIN, None)
        for method, scores in seeds.items():
            if twin:
                answer, table = twin_report(compare_twins(scores, twin), method)
                found.append((f"{title}. {answer}", table))
    return found


def baseline(methods: Mapping[str, object]) -> str:
    """The method that the others are held against."""
    return TWIN if TWIN in methods else next(iter(methods))


def paired(summaries: Mapping[str, Sequence[Summary]]) -> dict[str, Comparison]:
    """Every method against the baseline, case by case, each case averaged over seeds first."""
    means = {
        name: case_means([summary.case_dice for summary in seeds])
        for name, seeds in summaries.items()
    }
    return compare(means, baseline(means)) if means else {}
