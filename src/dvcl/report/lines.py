"""Rows of numbers under names and headings, as the tables of papers have them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dvcl.evaluation.summary import Spread
from dvcl.report.seeds import best_rows, shown
from dvcl.report.tables import TextTable

NOT_RUN = "not run"


@dataclass(frozen=True)
class Line:
    """One row.

    Attributes:
        heading: What rows have in common; empty where there is nothing.
        labels: Its names.
        values: Fractions; NaN where undefined, None where nothing was run. Columns for which there
            are none stay empty.
    """

    heading: str
    labels: tuple[str, ...]
    values: Sequence[Spread | None]


def lines_table(names: Sequence[str], numbers: Sequence[str], lines: Sequence[Line]) -> TextTable:
    """The lines in percent, the best of every column stressed.

    Args:
        names: Above the labels.
        numbers: Above the values.
        lines: In the order of the rows.
    """
    headed = any(line.heading for line in lines)
    columns = list(zip(*(line.values for line in lines), strict=True))
    names = ["", *names] if headed else list(names)
    empty = [""] * (len(numbers) - len(columns))
    missing = Spread(math.nan, math.nan, 0, 0)
    return TextTable(
        (*names, *numbers),
        tuple(
            (*([line.heading] if headed else []), *line.labels, *map(_cell, line.values), *empty)
            for line in lines
        ),
        strong=frozenset(
            (row, len(names) + place)
            for place, column in enumerate(columns)
            for row in best_rows([value or missing for value in column], 1)
        ),
        names=len(names),
        grouped=headed,
    )


def _cell(value: Spread | None) -> str:
    return NOT_RUN if value is None else shown(value, 100, 2)
