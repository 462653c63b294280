"""Train and score many runs, and say which differences are real."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dvcl.commands.compare_options import Options
from dvcl.commands.compare_outcome import Outcome
from dvcl.commands.compare_runs import (
    missing_runs,
    planned_runs,
    run_comparison,
    scored_cases,
)
from dvcl.commands.compare_time import with_equal_time
from dvcl.commands.console import console
from dvcl.commands.fit import doubts_of_fit
from dvcl.comparison.across import across_groups
from dvcl.comparison.choice import check_chosen
from dvcl.comparison.findings import collect, twins_of, write_findings
from dvcl.comparison.page import write_comparison_page
from dvcl.comparison.plan import Entry
from dvcl.comparison.prospects import prospects
from dvcl.comparison.records import RUNS, RunRecord, finished, located, read_records, together
from dvcl.comparison.tables import build_tables, write_tables
from dvcl.errors import counted, counted_are
from dvcl.paper.tables import paper_table
from dvcl.studies.divide import edition_name
from dvcl.studies.project import open_project


def compare_studies(studies: Sequence[Path], options: Options, dry: bool = False) -> Outcome:
    """Train and score what is missing, and write tables of everything that is there.

    Writes ``comparisons/NAME/`` into the first study. The same call continues a comparison; other
    calls with this name add to it.

    Raises:
        InputError: Before any work, with every run that could not be trained, and why.
    """
    first = open_project(studies[0])
    name = options.name or edition_name(
        first.load_recipe(options.recipe, options.changes), first.edition
    )
    folder = studies[0] / "comparisons" / name
    entries = options.plan(studies, name)
    check_chosen(options.shown, [open_project(study).dataset for study in studies])
    folders = [*options.recorded, *([folder] if (folder / RUNS).exists() else [])]
    earlier = located(_read_all(folders), studies)
    if options.equal == "time":
        if options.slurm:
            console.print("Steps that were not timed yet are timed on this machine.")
        entries = with_equal_time(entries, options, folder, earlier)
    runs = planned_runs(entries, options)
    # One recipe serves many runs, and is doubted once.
    for doubt in {doubt: None for run in runs.values() for doubt in doubts_of_fit(run.recipe)}:
        console.warn(doubt)
    steps = missing_runs(runs, {record.hash for record in earlier})
    done = f"{len(entries) - len(steps)} of {counted_are(len(entries), 'run')} finished"
    limits = prospects(entries, scored_cases(runs))
    if dry:
        lines = [
            f"to do: {entry.title} ({counted(count, 'step')})" for entry, count in steps.items()
        ]
        records = _records(entries, earlier)
        tables = build_tables(records, paper_table(options.table)) if options.table else ()
        findings = collect(records)
        across = across_groups(findings)
        return Outcome(findings, across, {}, "\n".join([*lines, *limits, done]), tables=tables)
    console.note("\n".join([*limits, f"{done}."]))
    failed = run_comparison(steps, options, folder / "logs") if steps else {}
    records = _records(entries, earlier)
    findings = collect(records)
    across = across_groups(findings)
    write_findings(folder, records, findings, across.tables)
    told = _told(entries, records)
    page = write_comparison_page(folder, records, findings, across, told, options.shown)
    note = f"Every score and all tables: {folder}\nOpen {page}."
    tables = write_tables(folder, records, paper_table(options.table)) if options.table else ()
    twins = twins_of(records) if options.twin else ()
    return Outcome(findings, across, failed, note, twins, tables)


def _read_all(folders: Sequence[Path]) -> list[RunRecord]:
    return [record for folder in folders for record in read_records(folder)]


def _records(entries: Sequence[Entry], earlier: Sequence[RunRecord]) -> list[RunRecord]:
    found = [record for entry in entries if (record := finished(entry))]
    return together(earlier, found)


def _told(entries: Sequence[Entry], records: Sequence[RunRecord]) -> str:
    """How far it is, for the head of the page."""
    known = {record.entry.title for record in records}
    done = sum(entry.title in known for entry in entries)
    others = f", {len(known) - done} of earlier calls" if len(known) > done else ""
    return f"{done} of {counted_are(len(entries), 'run')} finished and shown{others}"
