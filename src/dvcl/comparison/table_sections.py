"""A table of the paper for one study: our runs in sections, the paper's numbers beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dvcl.comparison.records import RunRecord, parts_scored
from dvcl.comparison.table_rows import Found, comparable, found_rows
from dvcl.evaluation.collapse import collapsed, dagger, told
from dvcl.evaluation.summary import Spread, Summary, spread, summarise
from dvcl.paper.numbers import MEANS, nearest_share, printed, printed_organs
from dvcl.paper.tables import PaperTable, Row
from dvcl.report.lines import Line, lines_table
from dvcl.report.sections import SectionedTable
from dvcl.report.seeds import dice_over_seeds
from dvcl.report.tables import TextTable

NOTHING = Spread(float("nan"), float("nan"), 0, 0)


def study_table(
    study: str, records: Sequence[RunRecord], table: PaperTable, with_paper: bool
) -> SectionedTable:
    """A section for each number of labelled cases, the paper's numbers beside where asked for.

    Args:
        study: Name of the study.
        records: Of it; `comparable` finds some.
        table: Which.
        with_paper: Add the numbers that the paper prints.

    Raises:
        InputError: When runs cannot stand in one table.
    """
    groups = sorted(comparable(records).values(), key=_labelled)
    found = [found_rows(table, members) for members in groups]
    # Without any run at all, the sections still tell what there would be.
    kept = [number for number, rows in enumerate(found) if any(rows)] or range(len(groups))
    organs = _organs(records, table)
    parts: dict[str, TextTable] = {}
    for number in kept:
        first, share = groups[number][0], None
        title = f"{_counts(first)}{_seeds(_by_name(table, found[number]))}"
        if with_paper and (share := nearest_share(table.name, _share(first))):
            title += f"; paper: {table.data}, {share}"
        if title in parts:
            title += f" ({first.entry.group})"
        parts[title] = _section(table, found[number], organs, share)
        if share and set(organs) & set(printed_organs(table.name)):
            parts[f"paper: {table.data}, {share}"] = _printed_section(table, organs, share)
    title = f"{table.title}: {table.about}; {study}"
    rows = [_by_name(table, found[number]) for number in kept]
    return SectionedTable(title, parts, _caption(rows, with_paper))


def _name(table: PaperTable, row: Row) -> str:
    """Of a row in a sentence: "MT", or "K 5, K' 10"."""
    if len(row.labels) == 1:
        return row.labels[0]
    pairs = zip(table.columns, row.labels, strict=True)
    return ", ".join(f"{column} {label}" for column, label in pairs if label)


def _section(
    table: PaperTable, found: Found, organs: Sequence[str], share: str | None
) -> TextTable:
    """Our numbers, and the paper's means for a labelled share of it."""
    papers = MEANS if share else ()
    collapses = _collapses(_by_name(table, found))
    lines = [
        Line(
            row.heading, _with_dagger(row.labels, dagger(_name(table, row), collapses)),
            [*_ours(runs, [*organs, *MEANS]), *_theirs(table, row, share, papers)],
        )
        for row, runs in zip(table.rows, found, strict=True)
    ]  # fmt: skip
    return lines_table(table.columns, _columns(organs, papers), lines)


def _printed_section(table: PaperTable, organs: Sequence[str], share: str) -> TextTable:
    """What the paper prints, organ by organ, in the columns of ours."""
    lines = [
        Line(row.heading, row.labels, _theirs(table, row, share, [*organs, *MEANS]))
        for row in table.rows
    ]
    return lines_table(table.columns, _columns(organs, MEANS), lines)


def _columns(organs: Sequence[str], papers: Sequence[str]) -> list[str]:
    return [*organs, *MEANS, *(f"paper: {name}" for name in papers)]


def _ours(runs: Sequence[RunRecord], names: Sequence[str]) -> list[Spread | None]:
    summaries = [summarise(record.scores) for record in runs]
    return [_value(summaries, name) if runs else None for name in names]


def _value(summaries: Sequence[Summary], name: str) -> Spread:
    if name in MEANS:
        score = name.lower().replace(" ", "_")
        return spread([getattr(summary, score) for summary in summaries])
    organ = dice_over_seeds(summaries, name)
    # As in the paper: organs without their standard deviation.
    return Spread(organ.mean, float("nan"), organ.defined, organ.undefined)


def _theirs(table: PaperTable, row: Row, share: str | None, names: Sequence[str]) -> list[Spread]:
    cells = printed(table.name).get(share or "", {}).get(row.key, {})
    return [cells.get(name, NOTHING) for name in names]


def _organs(records: Sequence[RunRecord], table: PaperTable) -> list[str]:
    """In the order of the paper where its organs are these; none where it has no such columns."""
    if not table.organs:
        return []
    ours = list(dict.fromkeys(score.organ for record in records for score in record.scores))
    papers = printed_organs(table.name)
    return papers if set(papers) == set(ours) else ours


def _labelled(records: Sequence[RunRecord]) -> int:
    return len(records[0].settings["split"]["labelled"])


def _counts(record: RunRecord) -> str:
    split = record.settings["split"]
    return f"{len(split['labelled'])} labelled, {len(split['unlabelled'])} unlabelled"


def _share(record: RunRecord) -> float:
    split = record.settings["split"]
    return len(split["labelled"]) / max(1, len(split["labelled"]) + len(split["unlabelled"]))


def _with_dagger(labels: tuple[str, ...], sign: str) -> tuple[str, ...]:
    return (*labels[:-1], f"{labels[-1]}{sign}")


def _by_name(table: PaperTable, found: Found) -> dict[str, list[RunRecord]]:
    return {_name(table, row): runs for row, runs in zip(table.rows, found, strict=True)}


def _seeds(runs: Mapping[str, Sequence[RunRecord]]) -> str:
    """Those that stand in a section, and who has not all of them."""
    seeds = {record.entry.seed for members in runs.values() for record in members}
    fewer = [
        name
        for name, members in runs.items()
        if members and {record.entry.seed for record in members} < seeds
    ]
    if not seeds:
        return ""
    not_all = f" (not all of them: {'; '.join(fewer)})" if fewer else ""
    return f"; seed{'s' if len(seeds) > 1 else ''} {_listed(seeds, ', ')}{not_all}"


def _collapses(runs: Mapping[str, Sequence[RunRecord]]) -> dict[str, dict[int, str]]:
    return collapsed(
        {
            name: {r.entry.seed: summarise(r.scores) for r in members}
            for name, members in runs.items()
        }
    )


def _caption(rows: Sequence[Mapping[str, Sequence[RunRecord]]], with_paper: bool) -> str:
    records = [record for runs in rows for members in runs.values() for record in members]
    cases = {len({score.case for score in record.scores}) for record in records}
    steps = {record.settings["recipe"]["training"]["iterations"] for record in records}
    what = (
        f"mean over {_listed(cases, ' or ')} {parts_scored(records)} cases; "
        f"{_listed(steps, ' or ')} training steps. Means are over organs; ± standard "
        "deviation over seeds, where there are several. Best of a column in bold, which is no "
        "verdict."
    )
    paper = "Paper: as printed, on its own data." if with_paper else ""
    daggers = [
        told(_collapses(runs), _counts(next(iter(filter(None, runs.values())))[0]))
        for runs in rows
        if any(runs.values())
    ]
    return " ".join(
        filter(
            None, [f"Dice in percent, {what if records else 'nothing run yet.'}", paper, *daggers]
        )
    )


def _listed(numbers: set[int], between: str) -> str:
    return between.join(map(str, sorted(numbers)))
