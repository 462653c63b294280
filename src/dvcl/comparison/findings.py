"""What a comparison found: scores of all its runs, tables, differences; only from recorded runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from dvcl.comparison.records import RunRecord, parts_scored, seconds_per_step, write_records
from dvcl.comparison.seeds import on_shared_seeds
from dvcl.evaluation.collapse import collapsed
from dvcl.evaluation.statistics import Comparison, compare_pairs
from dvcl.evaluation.summary import Summary, case_means, summarise
from dvcl.evaluation.twin import compare_twins
from dvcl.files import write_text
from dvcl.methods import BASELINE, METHODS, baselines
from dvcl.report.differences import difference_table, twin_report
from dvcl.report.exports import to_csv, to_latex
from dvcl.report.seeds import organs_table, seeds_table
from dvcl.report.tables import TextTable, to_markdown

UNCHANGED = "the same method unchanged"

T = TypeVar("T")


@dataclass(frozen=True)
class Findings:
    """Rows that can be held against each other: the same data and labelled cases.

    Attributes:
        title: Name of the group.
        runs: Method -> its seeds; with ``variants`` the method and what was varied.
        paired: Every other row against ``reference``.
        reference: Its name, or `UNCHANGED`.
        variants: Whether settings differ, and not only methods.
    """

    title: str
    runs: Mapping[str, Sequence[RunRecord]]
    paired: Mapping[str, Comparison]
    reference: str
    variants: bool = False

    @property
    def file_title(self) -> str:
        """Fit for a file's name."""
        return file_title(self.title)

    @property
    def scored(self) -> str:
        """Of which cases the scores are, as `parts_scored` says it."""
        return parts_scored(record for records in self.runs.values() for record in records)

    @property
    def is_varied(self) -> bool:
        """Whether settings of any row were varied."""
        return any(record.entry.varied for records in self.runs.values() for record in records)

    @property
    def base(self) -> str:
        """The group itself, or the one of which these are variants."""
        return next(iter(self.runs.values()))[0].entry.base

    @cached_property
    def by_seed(self) -> dict[str, dict[int, Summary]]:
        """Summaries of every row by its seeds."""
        return _by_seed(self.runs)

    @property
    def summaries(self) -> dict[str, list[Summary]]:
        """Of every row, one per seed."""
        return {name: list(seeds.values()) for name, seeds in self.by_seed.items()}

    @cached_property
    def collapses(self) -> dict[str, dict[int, str]]:
        """Trainings that collapsed, by row and seed."""
        return collapsed(self.by_seed)

    @property
    def last(self) -> dict[str, list[Summary]]:
        """Of every row's last weights, of the seeds for which they were scored."""
        return {
            name: [summarise(record.last) for record in records if record.last]
            for name, records in self.runs.items()
        }

    @property
    def means(self) -> TextTable:
        """Means over seeds."""
        seconds = {name: seconds_per_step(records) for name, records in self.runs.items()}
        return seeds_table(self.summaries, seconds, self.last, self.collapses, self.scored)

    @property
    def organs(self) -> TextTable:
        """Dice by organ."""
        return organs_table(self.summaries, self.collapses, self.scored)

    @property
    def differences(self) -> TextTable | None:
        """Against the reference; None where there is nothing to compare."""
        if not self.paired:
            return None
        return difference_table(self.paired, self.reference, self.collapses)


def file_title(title: str) -> str:
    """Fit for a file's name."""
    return title.replace(": ", ", ")


def collect(records: Sequence[RunRecord]) -> list[Findings]:
    """Tables of finished runs: one set per study and group, then one per group with variants.

    A variant of which there is one method has its rows among the variants alone.
    """
    found = []
    bases: dict[str, list[RunRecord]] = {}
    for title, members in by_label(records).items():
        runs = _by_name((record.entry.method, record) for record in members)
        # Settings of two methods may have the same name, and then have no more in common.
        alike = len({record.entry.varied for record in members}) == 1
        if alike and (len(runs) > 1 or not members[0].entry.varied):
            found.append(Findings(title, runs, paired(_by_seed(runs)), baseline(runs)))
        bases.setdefault(members[0].entry.base, []).extend(members)
    return found + [_variants(base, members) for base, members in bases.items() if _vary(members)]


def by_label(records: Sequence[RunRecord]) -> dict[str, list[RunRecord]]:
    """Records that can be compared with each other, under their common label."""
    return _by_name((record.entry.label, record) for record in records)


def write_findings(
    folder: Path,
    records: Sequence[RunRecord],
    findings: Sequence[Findings],
    across: Mapping[str, Sequence[tuple[str, TextTable]]],
) -> None:
    """Write the records, and every table as Markdown, LaTeX and CSV.

    Args:
        folder: Of the comparison.
        records: All of them.
        findings: Made from them.
        across: Further tables with their titles, by the name of their file.
    """
    write_records(folder, records)
    tables = {
        "means": [(found.title, found.means) for found in findings],
        "organs": [(found.title, found.organs) for found in findings],
        "differences": [(f.title, table) for f in findings if (table := f.differences)],
        **across,
    }
    for name, titled in tables.items():
        for suffix, form, heading in (
            (".md", to_markdown, "## {}\n\n"),
            (".tex", to_latex, "% {}\n"),
            (".csv", to_csv, "# {}\n"),
        ):
            parts = [heading.format(title) + form(table) for title, table in titled]
            write_text(folder / f"{name}{suffix}", "\n".join(parts))


def twins_of(records: Sequence[RunRecord]) -> list[tuple[str, TextTable]]:
    """What unlabelled scans were worth to every method that was trained beside its baselines."""
    found = []
    for title, members in by_label(records).items():
        runs = _by_name((record.entry.method, record) for record in members)
        scores = {
            name: {record.entry.seed: record.scores for record in records_of}
            for name, records_of in runs.items()
        }
        for method in scores:
            for twin in baselines(method) if METHODS[method].needs_unlabelled else ():
                if twin in scores:
                    twins = compare_twins(*on_shared_seeds([scores[method], scores[twin]]))
                    answer, table = twin_report(twins, method, twin, parts_scored(members))
                    found.append((f"{title}. {answer}", table))
    return found


def baseline(methods: Mapping[str, object]) -> str:
    """The method that the others are held against."""
    return BASELINE if BASELINE in methods else next(iter(methods))


def paired(rows: Mapping[str, Mapping[int, Summary]]) -> dict[str, Comparison]:
    """Every row, seed -> summary, against the baseline."""
    if not rows:
        return {}
    reference = baseline(rows)
    others = (name for name in rows if name != reference)
    return compare_pairs({name: seed_pair(rows[name], rows[reference]) for name in others})


def seed_pair(
    first: Mapping[int, Summary], second: Mapping[int, Summary]
) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    """Mean Dice by case of two rows, seed -> summary, for each of the seeds that both have."""
    ours, theirs = on_shared_seeds([first, second])
    return [summary.case_dice for summary in ours], [summary.case_dice for summary in theirs]


def dice_by_case(summaries: Mapping[str, Sequence[Summary]]) -> dict[str, dict[str, float]]:
    """{method: {case: mean Dice over its organs and over seeds}}."""
    return {
        name: case_means([summary.case_dice for summary in seeds])
        for name, seeds in summaries.items()
    }


def _vary(records: Sequence[RunRecord]) -> list[str]:
    """Methods of which there are variants."""
    return list(dict.fromkeys(record.entry.method for record in records if record.entry.varied))


def _variants(base: str, records: Sequence[RunRecord]) -> Findings:
    """Every method that was varied, as it is and then its variants."""
    runs: dict[str, list[RunRecord]] = {}
    for method in _vary(records):
        members = [record for record in records if record.entry.method == method]
        members.sort(key=lambda record: bool(record.entry.varied))
        runs |= _by_name((record.entry.row, record) for record in members)
    rows = _by_seed(runs)
    unchanged = {name: seeds[0].entry.method for name, seeds in runs.items()}
    pairs = {
        name: seed_pair(rows[name], rows[method])
        for name, method in unchanged.items()
        if name != method in rows
    }
    return Findings(f"{base}, variants", runs, compare_pairs(pairs), UNCHANGED, variants=True)


def _by_seed(runs: Mapping[str, Sequence[RunRecord]]) -> dict[str, dict[int, Summary]]:
    return {
        name: {record.entry.seed: summarise(record.scores) for record in members}
        for name, members in runs.items()
    }


def _by_name(pairs: Iterable[tuple[str, T]]) -> dict[str, list[T]]:
    groups: dict[str, list[T]] = {}
    for name, value in pairs:
        groups.setdefault(name, []).append(value)
    return groups
