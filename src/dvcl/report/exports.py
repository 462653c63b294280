"""Tables for papers and spreadsheets."""

from __future__ import annotations

import csv
import io

from dvcl.report.tables import TextTable

LATEX = str.maketrans(
    {"%": r"\%", "&": r"\&", "_": r"\_", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}",
     "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}",
     "±": r"$\pm$", "–": "--", "<": "$<$", ">": "$>$"}
)  # fmt: skip


def to_latex(table: TextTable) -> str:
    """A `tabular` with the rules of booktabs; the best in bold, the caption as a comment."""
    lines = [
        f"% {table.caption}",
        rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}",
        r"\toprule",
        _row(table.columns),
        r"\midrule",
    ]
    for index, row in enumerate(table.rows):
        if table.means and index == len(table.rows) - table.means:
            lines.append(r"\midrule")
        cells = [
            rf"\textbf{{{cell.translate(LATEX)}}}"
            if (index, column) in table.strong
            else cell.translate(LATEX)
            for column, cell in enumerate(row)
        ]
        lines.append(f"{' & '.join(cells)} \\\\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def to_csv(table: TextTable) -> str:
    """The cells as they are printed."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([table.columns, *table.rows])
    return text.getvalue()


def _row(cells: tuple[str, ...]) -> str:
    return f"{' & '.join(cell.translate(LATEX) for cell in cells)} \\\\"
