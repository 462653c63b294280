"""Tables of text: formatted once, shown in the terminal, as Markdown or on a page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from dvcl.evaluation.summary import Spread, Summary

UNDEFINED = "–"


@dataclass(frozen=True)
class TextTable:
    """Finished cells.

    Attributes:
        columns: Headings; the first column holds names, all others numbers.
        rows: One cell per column.
        caption: What the numbers are, their unit and count.
        strong: (row, column) of the cells to stress.
        means: How many rows at the end are means of the rows above.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    strong: frozenset[tuple[int, int]] = frozenset()
    means: int = 0


def summary_table(summary: Summary, caption: str = "") -> TextTable:
    """One method: every organ's Dice and Jaccard in percent, mean and SD over cases."""
    organs = tuple(
        (
            organ.organ,
            _percent(organ.dice.mean),
            _percent(organ.dice.sd),
            _percent(organ.jaccard.mean),
            _percent(organ.jaccard.sd),
            str(organ.dice.defined),
            str(organ.dice.undefined),
            str(organ.false_positives),
        )
        for organ in summary.organs
    )
    mean = (
        f"Mean of organs ({_of(summary.organs_defined, len(summary.organs))})",
        _percent(summary.mean_dice),
        "",
        _percent(summary.mean_jaccard),
        *[""] * 4,
    )
    return TextTable(
        ("Organ", "Dice %", "SD", "Jaccard %", "SD", "Cases", "Absent", "False pos."),
        (*organs, mean),
        caption
        or f"Mean and SD over {_cases(summary.cases)}. Absent: cases whose reference lacks the "
        "organ; false pos.: those of them in which the prediction has it.",
        means=1,
    )


def comparison_table(summaries: Mapping[str, Summary], caption: str = "") -> TextTable:
    """Several methods side by side: Dice in percent, organs as rows, the best of a row stressed.

    Args:
        summaries: Method name and its summary, in the order of the columns.
        caption: Replaces the default caption.
    """
    methods = list(summaries.values())
    organs = list(dict.fromkeys(row.organ for summary in methods for row in summary.organs))
    lines = []
    for organ in organs:
        spreads = [_dice(summary, organ) for summary in methods]
        lines.append((organ, _counts(spreads), [spread.mean for spread in spreads]))
    lines.append(("Mean Dice", "", [summary.mean_dice for summary in methods]))
    lines.append(("Mean Jaccard", "", [summary.mean_jaccard for summary in methods]))
    headings = (f"{name} (n={summary.cases})" for name, summary in summaries.items())
    return TextTable(
        ("Organ", "Cases", *headings),
        tuple((name, cases, *map(_percent, values)) for name, cases, values in lines),
        caption or "Dice in percent, mean over the cases that have the organ; best in bold",
        frozenset((row, 2 + best) for row, line in enumerate(lines) for best in _best(line[2])),
        means=2,
    )


def to_rich(table: TextTable) -> Table:
    """For the terminal."""
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), caption=table.caption)
    shown.caption_justify, shown.caption_style = "left", "dim"
    for index, column in enumerate(table.columns):
        shown.add_column(
            Text(column),
            justify="right" if index else "left",
            no_wrap=not index,
            overflow="fold",
        )
    for index, row in enumerate(table.rows):
        cells = (
            Text(cell, "bold" if (index, column) in table.strong else "")
            for column, cell in enumerate(row)
        )
        shown.add_row(*cells, end_section=index == len(table.rows) - table.means - 1)
    return shown


def to_markdown(table: TextTable) -> str:
    """A GitHub-flavoured pipe table, padded to be read as plain text too."""
    cells = [[_escaped(cell) for cell in table.columns]]
    for index, row in enumerate(table.rows):
        stressed = ((index, column) in table.strong for column in range(len(row)))
        cells.append(
            [
                f"**{_escaped(cell)}**" if strong else _escaped(cell)
                for cell, strong in zip(row, stressed, strict=True)
            ]
        )
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    rule = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [_line(row, widths) for row in (cells[0], rule, *cells[1:])]
    return "\n".join([*lines, "", table.caption, ""] if table.caption else [*lines, ""])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
    return f"| {' | '.join(padded)} |"


def _escaped(cell: str) -> str:
    return cell.replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*")


def _percent(fraction: float) -> str:
    """0.8411 as "84.11"; NaN as a dash."""
    return UNDEFINED if math.isnan(fraction) else f"{100 * fraction:.2f}"


def _dice(summary: Summary, organ: str) -> Spread:
    found = (row.dice for row in summary.organs if row.organ == organ)
    return next(found, Spread(math.nan, math.nan, 0, 0))


def _counts(spreads: Sequence[Spread]) -> str:
    """Cases behind a row of means: "12", or "10–12" where the methods differ."""
    counts = [spread.defined for spread in spreads]
    return str(min(counts)) if min(counts) == max(counts) else f"{min(counts)}–{max(counts)}"


def _best(values: Sequence[float]) -> list[int]:
    """Columns that share the highest printed value, when there is something to compare."""
    printed = [_percent(value) for value in values]
    defined = [value for value in values if not math.isnan(value)]
    if len(values) < 2 or not defined:
        return []
    return [column for column, cell in enumerate(printed) if cell == _percent(max(defined))]


def _cases(count: int) -> str:
    return "1 case" if count == 1 else f"{count} cases"


def _of(defined: int, all_: int) -> str:
    return str(all_) if defined == all_ else f"{defined} of {all_}"
