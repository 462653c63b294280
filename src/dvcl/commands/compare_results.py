"""What a comparison found: scores of all its runs, tables, differences; only from recorded runs."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from dvcl.commands.comparison import Entry
from dvcl.commands.evaluate import SCORES
from dvcl.evaluation.cases import CaseScore
from dvcl.evaluation.score_file import COLUMNS, read_scores
from dvcl.evaluation.statistics import Comparison, compare
from dvcl.evaluation.summary import Summary, spread, summarise
from dvcl.files import write_text
from dvcl.report.differences import difference_table
from dvcl.report.exports import to_csv, to_latex
from dvcl.report.seeds import organs_table, seeds_table
from dvcl.report.tables import TextTable, to_markdown
from dvcl.training.journal import read_journal

# What others are held against, where it was run.
BASELINE = "supervised"


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


def collect(entries: Sequence[Entry]) -> list[Findings]:
    """Tables of all finished runs, one set per study and group."""
    scored = {entry: read_scores(_scores(entry)) for entry in entries if _scores(entry).exists()}
    groups: dict[str, list[Entry]] = {}
    for entry in scored:
        groups.setdefault(entry.label, []).append(entry)
    return [_findings(title, members, scored) for title, members in groups.items()]


def write_findings(folder: Path, entries: Sequence[Entry], findings: Sequence[Findings]) -> None:
    """Write scores.csv of all cases, and every table as Markdown, LaTeX and CSV."""
    write_text(folder / "scores.csv", _scores_csv(entries))
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


def _findings(
    title: str, entries: Sequence[Entry], scored: Mapping[Entry, Sequence[CaseScore]]
) -> Findings:
    by_method: dict[str, list[Entry]] = {}
    for entry in entries:
        by_method.setdefault(entry.method, []).append(entry)
    summaries = {
        method: [summarise(scored[entry]) for entry in members]
        for method, members in by_method.items()
    }
    seconds = {
        method: statistics.median(step for entry in members for step in _step_seconds(entry))
        for method, members in by_method.items()
    }
    found = paired(summaries)
    return Findings(
        title,
        seeds_table(summaries, seconds),
        organs_table(summaries),
        difference_table(found, baseline(summaries)) if found else None,
    )


def baseline(methods: Mapping[str, object]) -> str:
    """The method that the others are held against."""
    return BASELINE if BASELINE in methods else next(iter(methods))


def paired(summaries: Mapping[str, Sequence[Summary]]) -> dict[str, Comparison]:
    """Every method against the baseline, case by case, each case averaged over seeds first."""
    means: dict[str, dict[str, float]] = {}
    for name, seeds in summaries.items():
        cases: dict[str, list[float]] = {}
        for summary in seeds:
            for case, dice in summary.case_dice.items():
                cases.setdefault(case, []).append(dice)
        means[name] = {case: spread(dice).mean for case, dice in cases.items()}
    return compare(means, baseline(means)) if means else {}


def _step_seconds(entry: Entry) -> list[float]:
    rows = read_journal(entry.folder / "journal.jsonl")
    return [row["seconds"] for row in rows if row["kind"] == "step"]


def _scores(entry: Entry) -> Path:
    return entry.folder / SCORES


def _scores_csv(entries: Sequence[Entry]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("study", "group", "method", "seed", *COLUMNS))
    for entry in entries:
        if _scores(entry).exists():
            where = (entry.study.name, entry.group, entry.method, entry.seed)
            for score in read_scores(_scores(entry)):
                cells = ("" if value != value else value for value in astuple(score))
                writer.writerow((*where, *cells))
    return text.getvalue()
