"""The rows of the paper's tables, as ``tables.toml`` defines them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from dvcl.errors import InputError


@dataclass(frozen=True)
class Row:
    """One row: a method, as the study's recipe has it but for what is named here.

    Attributes:
        method: Key of `METHODS`.
        labels: What stands at its head, one per column of `PaperTable.columns`.
        heading: "w/o VCL" or "w/ VCL", where the table has these.
        settings: Of the method, changed.
    """

    method: str
    labels: tuple[str, ...]
    heading: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """Its name in ``numbers.csv``: the heading, and the labels with / between them."""
        return self.heading, "/".join(self.labels)


@dataclass(frozen=True)
class PaperTable:
    """One table, or one part of Fig. 8.

    Attributes:
        name: "1" to "8", "fig8a" to "fig8f".
        about: What it varies.
        data: The paper's data set.
        organs: Whether it has a column for every organ.
        columns: Above the labels of the rows.
        rows: In the order of the paper.
    """

    name: str
    about: str
    data: str
    organs: bool
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def title(self) -> str:
        """Such as "Table 3" or "Fig. 8a"."""
        return f"Fig. {self.name[3:]}" if self.name.startswith("fig") else f"Table {self.name}"


@cache
def paper_tables() -> dict[str, PaperTable]:
    """All of them by name."""
    text = resources.files("dvcl.paper").joinpath("tables.toml").read_text(encoding="utf-8")
    written = tomllib.loads(text)
    shared = written.pop("rows")
    return {name: _table(name, table, shared) for name, table in written.items()}


def paper_table(name: str) -> PaperTable:
    """One by its name.

    Raises:
        InputError: When the paper has none of this name.
    """
    tables = paper_tables()
    if name not in tables:
        raise InputError(f"--table {name!r}: no such table. Known: {', '.join(tables)}.")
    return tables[name]


def _table(name: str, table: Mapping[str, Any], shared: Mapping[str, Any]) -> PaperTable:
    rows = shared[table["rows"]] if isinstance(table["rows"], str) else table["rows"]
    first = [table["first"]] if "first" in table else []
    return PaperTable(
        name, table["about"], table["data"], table.get("organs", False),
        tuple(table.get("columns", ["Method"])),
        tuple(_row(row, table.get("method", "")) for row in [*first, *rows]),
    )  # fmt: skip


def _row(row: Mapping[str, Any], method: str) -> Row:
    return Row(
        row.get("method", method), tuple(row["labels"]), row.get("heading", ""),
        row.get("settings", {}),
    )  # fmt: skip
