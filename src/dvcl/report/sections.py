"""Tables in sections, as papers have them: one under the other, with the same columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from dvcl.report.exports import LATEX, latex_line, latex_rows
from dvcl.report.tables import TextTable, to_markdown, to_rich

# Beyond so many columns of numbers, headings are turned to fit a page.
UPRIGHT = 6


@dataclass(frozen=True)
class SectionedTable:
    """Finished cells.

    Attributes:
        title: Above all.
        parts: Title of a section and its table; all have the same columns, and no caption.
        caption: What the numbers are, their unit and count.
    """

    title: str
    parts: Mapping[str, TextTable]
    caption: str

    @property
    def shape(self) -> TextTable:
        """Any of the parts: its columns are those of all."""
        return next(iter(self.parts.values()))


def sections_facts(table: SectionedTable) -> dict[str, Any]:
    """Its cells for programs: rows by the title of their section."""
    parts = {title: [*part.rows] for title, part in table.parts.items()}
    columns = table.shape.columns
    return {"title": table.title, "caption": table.caption, "columns": columns, "rows": parts}


def sections_to_markdown(table: SectionedTable) -> str:
    """One pipe table per section."""
    parts = (f"**{title}**\n\n{to_markdown(part)}" for title, part in table.parts.items())
    return "\n".join([f"### {table.title}\n", *parts, f"{table.caption}\n"])


def sections_to_latex(table: SectionedTable) -> str:
    """One `tabular` with the rules of booktabs; names that rows share span them."""
    shape = table.shape
    numbers = len(shape.columns) - shape.names
    heads = [column.translate(LATEX) for column in shape.columns]
    if numbers > UPRIGHT:
        heads[shape.names :] = [rf"\rotatebox{{90}}{{{head}}}" for head in heads[shape.names :]]
    lines = [
        f"% {table.title}",
        f"% {table.caption}",
        r"% \usepackage{booktabs, multirow, graphicx, amssymb}",
        rf"\begin{{tabular}}{{{'l' * shape.names}{'r' * numbers}}}",
        r"\toprule",
        latex_line(heads),
    ]
    for title, part in table.parts.items():
        span = rf"\multicolumn{{{len(shape.columns)}}}{{l}}{{{title.translate(LATEX)}}}"
        lines += [r"\midrule", latex_line([span]), r"\midrule", *latex_rows(part)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def sections_to_csv(table: SectionedTable) -> str:
    """The cells as they are printed, every row with its section."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["Section", *table.shape.columns])
    for title, part in table.parts.items():
        writer.writerows([title, *row] for row in part.rows)
    return text.getvalue()


def sections_to_rich(table: SectionedTable) -> Group:
    """For the terminal."""
    shown: list[RenderableType] = [Text(table.title, "bold")]
    for title, part in table.parts.items():
        shown += [Text(f"\n{title}"), to_rich(part)]
    return Group(*shown, Text(table.caption, "dim"))
