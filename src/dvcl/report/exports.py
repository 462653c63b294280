"""Tables for papers and spreadsheets."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterable

from dvcl.report.tables import TextTable

LATEX = str.maketrans(
    {"%": r"\%", "&": r"\&", "_": r"\_", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}",
     "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}",
     "±": r"$\pm$", "–": "--", "<": "$<$", ">": "$>$", "✓": r"\checkmark{}", "²": "$^2$"}
)  # fmt: skip


def to_latex(table: TextTable) -> str:
    """A `tabular` with the rules of booktabs; the best in bold, the caption as a comment."""
    numbers = len(table.columns) - table.names
    lines = [
        f"% {table.caption}",
        rf"\begin{{tabular}}{{{'l' * table.names}{'r' * numbers}}}",
        r"\toprule",
        latex_line(cell.translate(LATEX) for cell in table.columns),
        r"\midrule",
        *latex_rows(table),
    ]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def latex_rows(table: TextTable) -> list[str]:
    """The lines of a `tabular` between its rules; a name that rows share spans them (multirow)."""
    lines = []
    for index, row in enumerate(table.rows):
        if table.means and index == len(table.rows) - table.means:
            lines.append(r"\midrule")
        cells = [
            rf"\textbf{{{cell.translate(LATEX)}}}"
            if (index, column) in table.strong
            else cell.translate(LATEX)
            for column, cell in enumerate(row)
        ]
        if table.grouped:
            span = _span(table, index)
            if index and span:
                lines.append(r"\midrule")
            cells[0] = rf"\multirow{{{span}}}{{*}}{{{cells[0]}}}" if span and cells[0] else ""
        lines.append(latex_line(cells))
    return lines


def latex_line(cells: Iterable[str]) -> str:
    """One line of a `tabular` of cells that are LaTeX already."""
    return f"{' & '.join(cells)} \\\\"


def to_csv(table: TextTable) -> str:
    """The cells as they are printed."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([table.columns, *table.rows])
    return text.getvalue()


def _span(table: TextTable, index: int) -> int:
    """How many rows from this one on share its first name; 0 where it is that of the row before."""
    first = table.rows[index][0]
    if index and table.rows[index - 1][0] == first:
        return 0
    return len(list(itertools.takewhile(lambda row: row[0] == first, table.rows[index:])))
