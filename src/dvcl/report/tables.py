"""Tables of text: formatted once, shown in the terminal, as Markdown or on a page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from dvcl.errors import counted
from dvcl.evaluation.summary import Spread, Summary

UNDEFINED = "–"
ROOMY = 10_000  # wider than any table


@dataclass(frozen=True)
class TextTable:
    """Finished cells.

    Attributes:
        columns: Headings; the first columns hold names, all others numbers.
        rows: One cell per column.
        caption: What the numbers are, their unit and count.
        strong: (row, column) of the cells to stress.
        means: How many rows at the end are means of the rows above.
        names: How many columns hold names.
        grouped: Whether rows share their first name, which then stands at the first of them only.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    strong: frozenset[tuple[int, int]] = frozenset()
    means: int = 0
    names: int = 1
    grouped: bool = False

    @property
    def shown_rows(self) -> list[tuple[str, ...]]:
        """The rows as they are read: a shared first name once."""
        if not self.grouped:
            return list(self.rows)
        before = [None, *(row[0] for row in self.rows)]
        return [
            ("" if row[0] == above else row[0], *row[1:])
            for above, row in zip(before, self.rows, strict=False)
        ]


def summary_table(summary: Summary, caption: str = "", scored: str = "") -> TextTable:
    """One method: every organ's overlap and distances, means over cases, SD of the Dice.

    Args:
        summary: Of its scores.
        caption: Replaces the default caption.
        scored: Which cases these are, such as "validation"; empty where it is not known.
    """
    organs = tuple(
        (
            organ.organ,
            percent(organ.dice.mean),
            percent(organ.dice.sd),
            percent(organ.jaccard.mean),
            percent(organ.nsd.mean),
            _number(organ.hd95_mm.mean),
            _of(organ.dice.defined, summary.cases),
            str(organ.missed),
            str(organ.false_positives),
        )
        for organ in summary.organs
    )
    cases = counted(summary.cases, f"{scored} case".strip())
    mean = (
        f"Mean of organs ({_of(summary.organs_defined, len(summary.organs))})",
        percent(summary.mean_dice),
        "",
        percent(summary.mean_jaccard),
        percent(summary.mean_nsd),
        _number(summary.mean_hd95_mm),
        "",
        str(summary.missed[0]),
        str(sum(organ.false_positives for organ in summary.organs)),
    )
    return TextTable(
        ("Organ", "Dice %", "SD", "Jaccard %", "NSD %", "HD95 mm", "Cases", "Missed",
         "False pos."),
        (*organs, mean),
        caption
        or f"Mean and SD over {cases}; an organ counts where the reference has it. NSD: share of "
        "the surfaces within the tolerance. Missed: cases in which only the reference has it, with "
        "the diagonal of the volume as its distance; false pos.: cases in which only the "
        "prediction has it.",
        means=1,
    )  # fmt: skip


def comparison_table(
    summaries: Mapping[str, Summary], caption: str = "", sd: bool = False, scored: str = ""
) -> TextTable:
    """Several methods side by side: Dice in percent, organs as rows, the best of a row stressed.

    Args:
        summaries: Method name and its summary, in the order of the columns.
        caption: Replaces the default caption.
        sd: Add the standard deviation over cases to every organ's mean.
        scored: Which cases these are, such as "validation"; empty where it is not known.
    """
    methods = list(summaries.values())
    cases = max(summary.cases for summary in methods)
    rows, means = [], []
    for organ in dict.fromkeys(row.organ for summary in methods for row in summary.organs):
        spreads = [_dice(summary, organ) for summary in methods]
        means.append([spread.mean for spread in spreads])
        cells = (_with_sd(spread) if sd else percent(spread.mean) for spread in spreads)
        rows.append((organ, _counts(spreads, cases), *cells))
    for name, values in (
        ("Mean Dice", [summary.mean_dice for summary in methods]),
        ("Mean Jaccard", [summary.mean_jaccard for summary in methods]),
        ("Mean NSD", [summary.mean_nsd for summary in methods]),
    ):
        means.append(values)
        rows.append((name, "", *map(percent, values)))
    distances = (_number(summary.mean_hd95_mm) for summary in methods)
    rows.append(("Mean HD95, mm", "", *distances))
    # Not among the stressed rows: where few organs are missed, chance decides who misses fewest.
    rows.append(("Organs missed", "", *("{} of {}".format(*summary.missed) for summary in methods)))
    return TextTable(
        ("Organ", "Cases", *summaries),
        tuple(rows),
        caption
        or f"Dice in percent, mean {'± SD ' if sd else ''}over the {f'{scored} cases'.strip()} "
        "that have the organ"
        f"{'; best in bold' if len(methods) > 1 else ''}. Missed: no voxel predicted.",
        frozenset((row, 2 + best) for row, line in enumerate(means) for best in _best(line)),
        means=5,
    )


def to_rich(table: TextTable) -> RenderableType:
    """For the terminal; columns that do not fit beside the others follow below them."""
    return _Fitting(table)


@dataclass(frozen=True)
class _Fitting:
    """Columns are shared out when it is printed, as only then the width is known."""

    table: TextTable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from map(_rich_table, self._pieces(console, options.max_width))
        if self.table.caption:
            yield Text(self.table.caption, "dim")

    def _pieces(self, console: Console, width: int) -> Iterator[TextTable]:
        """Tables with as many of the columns as fit, each with the names of the rows."""
        table, names = self.table, list(range(self.table.names))
        fitting: list[int] = []
        for column in range(table.names, len(table.columns)):
            if not any(row[column] for row in table.rows):
                continue
            wider = _rich_table(_columns(table, [*names, *fitting, column]))
            # Measured as if there were all the room it needs.
            needed = Measurement.get(console, console.options.update(width=ROOMY), wider).maximum
            if fitting and needed > width:
                yield _columns(table, [*names, *fitting])
                fitting = []
            fitting.append(column)
        yield _columns(table, [*names, *fitting])


def _columns(table: TextTable, kept: Sequence[int]) -> TextTable:
    return replace(
        table,
        columns=tuple(table.columns[column] for column in kept),
        rows=tuple(tuple(row[column] for column in kept) for row in table.rows),
        strong=frozenset(
            (row, place)
            for place, column in enumerate(kept)
            for row in range(len(table.rows))
            if (row, column) in table.strong
        ),
    )


def _rich_table(table: TextTable) -> Table:
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for index, column in enumerate(table.columns):
        # Headings take several lines rather than more width than their column's cells. A number
        # that is broken in two would mislead: where even one column does not fit, names are folded.
        widest = max((len(row[index]) for row in table.rows), default=0)
        heading = column if len(column) <= widest else column.replace(" ", "\n")
        shown.add_column(
            Text(heading),
            justify="left" if index < table.names else "right",
            no_wrap=index >= table.names,
            overflow="fold",
        )
    for index, row in enumerate(table.shown_rows):
        cells = (
            Text(cell, "bold" if (index, column) in table.strong else "")
            for column, cell in enumerate(row)
        )
        shown.add_row(*cells, end_section=index == len(table.rows) - table.means - 1)
    return shown


def to_markdown(table: TextTable) -> str:
    """A GitHub-flavoured pipe table, padded to be read as plain text too."""
    cells = [[_escaped(cell) for cell in table.columns]]
    for index, row in enumerate(table.shown_rows):
        stressed = ((index, column) in table.strong for column in range(len(row)))
        cells.append(
            [
                f"**{_escaped(cell)}**" if strong else _escaped(cell)
                for cell, strong in zip(row, stressed, strict=True)
            ]
        )
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    names = table.names
    rule = [":" + "-" * (width - 1) for width in widths[:names]]
    rule += ["-" * (width - 1) + ":" for width in widths[names:]]
    lines = [_line(row, widths, names) for row in (cells[0], rule, *cells[1:])]
    return "\n".join([*lines, "", table.caption, ""] if table.caption else [*lines, ""])


def _line(cells: Sequence[str], widths: Sequence[int], names: int) -> str:
    padded = [
        cell.ljust(width) if column < names else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(padded)} |"


def _escaped(cell: str) -> str:
    return cell.replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*")


def percent(fraction: float) -> str:
    """0.8411 as "84.11"; NaN as a dash."""
    return UNDEFINED if math.isnan(fraction) else f"{100 * fraction:.2f}"


def _number(value: float) -> str:
    """12.34 as "12.3"; NaN as a dash."""
    return UNDEFINED if math.isnan(value) else f"{value:.1f}"


def _dice(summary: Summary, organ: str) -> Spread:
    found = (row.dice for row in summary.organs if row.organ == organ)
    return next(found, Spread(math.nan, math.nan, 0, 0))


def _with_sd(spread: Spread) -> str:
    """Such as "84.11 ± 3.20"; the mean alone where one case has no spread."""
    sd = "" if math.isnan(spread.sd) else f" ± {percent(spread.sd)}"
    return percent(spread.mean) + sd


def _counts(spreads: Sequence[Spread], cases: int) -> str:
    """Cases behind a row of means: "12", "10 of 12", or "10–12" where the methods differ."""
    counts = [spread.defined for spread in spreads]
    low, high = min(counts), max(counts)
    return _of(low, cases) if low == high else f"{low}–{high}"


def _best(values: Sequence[float]) -> list[int]:
    """Columns that share the highest printed value; none where nothing sets them apart."""
    printed = {column: percent(x) for column, x in enumerate(values) if not math.isnan(x)}
    if len(set(printed.values())) < 2:
        return []
    highest = percent(max(values[column] for column in printed))
    return [column for column, cell in printed.items() if cell == highest]


def _of(defined: int, all_: int) -> str:
    return str(all_) if defined == all_ else f"{defined} of {all_}"
