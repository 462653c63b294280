"""Pages of the recorded results, made from their records: python -m dvcl.commands.results docs."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from dvcl.comparison.across import across_groups
from dvcl.comparison.cost import cost_reference, costs
from dvcl.comparison.findings import Findings, collect, twins_of
from dvcl.comparison.records import RUNS, RunRecord, read_records
from dvcl.comparison.tables import tables_of_folder
from dvcl.errors import InputError
from dvcl.files import write_text
from dvcl.report.costs import cost_table
from dvcl.report.sections import sections_to_markdown
from dvcl.report.tables import TextTable, to_markdown

COMMAND = "make results"
HEAD = (
    "Made by `{command}` from [what was recorded]({recorded}); nothing on this page is written by "
    "hand. What the columns mean: [comparison](../comparison.md)."
)
ALONE = (
    "Every method against the baseline of as many networks, and against one supervised network. "
    "Each question stands alone: no p is corrected for the number of questions."
)
# A table of a record within another page: <!-- hippocampus overview --> ... <!-- end -->.
PLACE = re.compile(r"(<!-- ([\w-]+) (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def study_page(recorded: Path) -> str:
    """Everything that the records of one study give, as Markdown.

    Args:
        recorded: Folder with ``runs.json`` and ``scores.csv``.

    Raises:
        InputError: When there are no such records.
    """
    records = read_records(recorded)
    findings = collect(records)
    across = across_groups(findings).tables
    parts = [
        f"# {recorded.name.capitalize()}",
        HEAD.format(command=COMMAND, recorded=f"../recorded/{recorded.name}"),
        _section("What was run", runs_table(findings)),
        *(_section(title, table) for titled in across.values() for title, table in titled),
    ]
    for found in findings:
        parts += [f"## {found.title}", to_markdown(found.means).strip()]
        if found.differences:
            parts += ["### Differences", to_markdown(found.differences).strip()]
        parts += ["### Dice by organ", to_markdown(found.organs).strip()]
        table = cost_table(costs(found), cost_reference(found))
        parts += ["### Cost", to_markdown(table).strip()]
    if answers := [f"- {answer}" for answer, _ in twins_of(records)]:
        parts += ["## What the unlabelled scans were worth", ALONE, "\n".join(answers)]
    parts += map(str.strip, _paper_tables(recorded))
    return "\n\n".join(parts) + "\n"


def runs_table(findings: Sequence[Findings]) -> TextTable:
    """Of every group: its cases, methods and seeds, steps, and by what it was made."""
    rows = []
    for found in findings:
        records = [record for runs in found.runs.values() for record in runs]
        split = records[0].settings["split"]
        counts = (
            str(len(split[part])) for part in ("labelled", "unlabelled", "validation", "test")
        )
        steps = sorted({_steps(record) for record in records})
        seeds = sorted({len(runs) for runs in found.runs.values()})
        rows.append(
            (
                found.title, *counts, str(len(found.runs)), _range(seeds), _range(steps),
                _each(records, "device"), _each(records, "dvcl"),
            )
        )  # fmt: skip
    return TextTable(
        ("Runs", "Labelled", "Unlabelled", "Validation", "Test", "Rows", "Seeds", "Steps",
         "Device", "dvcl"),
        tuple(rows),
        "Cases, rows of methods or variants, seeds of each, and steps of a run.",
    )  # fmt: skip


def _steps(record: RunRecord) -> int:
    return int(record.settings["recipe"]["training"]["iterations"])


def _range(numbers: Sequence[int]) -> str:
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def _each(records: Sequence[RunRecord], key: str) -> str:
    return ", ".join(dict.fromkeys(str(r.made_with.get(key, "not told")) for r in records))


def _section(title: str, table: TextTable) -> str:
    return f"## {title}\n\n{to_markdown(table).strip()}"


def _paper_tables(recorded: Path) -> list[str]:
    """The paper's tables, with its own numbers beside; none where no two rows of one were run."""
    try:
        tables = tables_of_folder(recorded, "all", with_paper=True)
    except InputError:
        return []
    return [sections_to_markdown(table) for table in tables]


def with_tables(page: str, tables: Mapping[tuple[str, str], str]) -> str:
    """The page with every table between two markers made anew.

    Args:
        page: Markdown.
        tables: By study and name, as the first marker has them.

    Raises:
        InputError: When a marker names a table that there is not.
    """

    def replaced(match: re.Match[str]) -> str:
        begin, study, name, end = match.groups()
        if (study, name) not in tables:
            known = ", ".join(" ".join(key) for key in tables)
            raise InputError(f"{begin.strip()} names no table; one of {known} was expected.")
        return f"{begin}\n{tables[study, name].strip()}\n\n{end}"

    return PLACE.sub(replaced, page)


def shared_tables(recorded: Path) -> dict[tuple[str, str], str]:
    """Tables of one study that other pages may show, by study and name.

    Those that hold all groups of runs, or those of its only group.
    """
    findings = collect(read_records(recorded))
    tables = {name: titled[0][1] for name, titled in across_groups(findings).tables.items()}
    if len(findings) == 1:
        tables |= {"means": findings[0].means, "organs": findings[0].organs}
        if findings[0].differences:
            tables["differences"] = findings[0].differences
    tables["runs"] = runs_table(findings)
    return {(recorded.name, name): to_markdown(table) for name, table in tables.items()}


def update(docs: Path) -> dict[Path, str]:
    """All pages as the records have them, by their path; nothing is written."""
    studies = sorted(path.parent for path in docs.glob(f"recorded/*/{RUNS}"))
    pages = {docs / "results" / f"{study.name}.md": study_page(study) for study in studies}
    tables = {key: text for study in studies for key, text in shared_tables(study).items()}
    for page in (docs / "results.md", docs.parent / "README.md"):
        pages[page] = with_tables(page.read_text(encoding="utf-8"), tables)
    return pages


if __name__ == "__main__":
    for path, text in update(Path(sys.argv[1])).items():
        write_text(path, text)
