"""The paper's tables from recorded runs; nothing is trained."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from dvcl.comparison.records import RunRecord, read_records
from dvcl.comparison.table_rows import comparable, found_rows
from dvcl.comparison.table_sections import study_table
from dvcl.errors import InputError
from dvcl.files import write_text
from dvcl.paper.numbers import printed_organs
from dvcl.paper.tables import PaperTable, paper_table, paper_tables
from dvcl.report.sections import (
    SectionedTable,
    sections_to_csv,
    sections_to_latex,
    sections_to_markdown,
)

ALL = "all"


def tables_of_folder(
    folder: Path, name: str, with_paper: bool = False, out: Path | None = None
) -> list[SectionedTable]:
    """Tables from a comparison's records, written too where ``out`` says so.

    Args:
        folder: With ``runs.json`` and ``scores.csv``.
        name: Of a table, or "all": those of which two rows or more were run, and of the tables of
            methods that of the data set, or else the first.
        with_paper: Add the numbers that the paper prints.
        out: Where ``table-N.md``, ``.tex`` and ``.csv`` are written.

    Raises:
        InputError: When there are no such records or no such table, or runs cannot stand in one.
    """
    records = read_records(folder)
    chosen = _several_run(records) if name == ALL else [paper_table(name)]
    make = partial(write_tables, out) if out else build_tables
    found = [made for table in chosen for made in make(records, table, with_paper)]
    if not found:
        raise InputError(
            f"{folder}: --table {name}: no runs for a table found; two rows or more of one were "
            "expected, with nothing but settings of methods varied. Name a table, as --table 1, or "
            "run one: dvcl compare STUDY --table 1."
        )
    return found


def build_tables(
    records: Sequence[RunRecord], table: PaperTable, with_paper: bool = False
) -> list[SectionedTable]:
    """One table per study, a section for each number of labelled cases.

    A study in all of whose runs more than settings of methods was varied has none.

    Raises:
        InputError: When runs cannot stand in one table.
    """
    return [
        study_table(study, members, table, with_paper)
        for study, members in _by_study(records).items()
        if comparable(members)
    ]


def write_tables(
    folder: Path, records: Sequence[RunRecord], table: PaperTable, with_paper: bool = False
) -> list[SectionedTable]:
    """As `build_tables`; also writes ``table-N`` as Markdown, LaTeX and CSV."""
    made = build_tables(records, table, with_paper)
    if not made:
        return []
    for suffix, form in (
        (".md", sections_to_markdown), (".tex", sections_to_latex), (".csv", sections_to_csv),
    ):  # fmt: skip
        text = "\n".join(form(one) for one in made)
        write_text(folder / f"table-{table.name}{suffix}", text)
    return made


def _several_run(records: Sequence[RunRecord]) -> list[PaperTable]:
    """Tables of which two rows or more were run; of those of all methods only the data set's."""
    organs = {score.organ for record in records for score in record.scores}
    tables = paper_tables()
    of_methods = [name for name in tables if len({row.method for row in tables[name].rows}) > 1]
    matching = [name for name in of_methods if set(printed_organs(name)) == organs]
    others = set(of_methods) - set((matching or of_methods)[:1])
    groups = [
        group for members in _by_study(records).values() for group in comparable(members).values()
    ]
    return [
        table
        for name, table in tables.items()
        if name not in others
        and any(sum(map(bool, found_rows(table, group))) > 1 for group in groups)
    ]


def _by_study(records: Sequence[RunRecord]) -> dict[str, list[RunRecord]]:
    studies: dict[str, list[RunRecord]] = {}
    for record in records:
        studies.setdefault(record.entry.study.name, []).append(record)
    return studies
