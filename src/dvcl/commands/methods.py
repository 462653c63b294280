"""The table of all methods, and the settings of one: read from classes and docstrings."""

from __future__ import annotations

import inspect
import re
import sys
import types
import typing
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich import box
from rich.table import Table
from rich.text import Text

from dvcl.errors import InputError, counted
from dvcl.files import write_text
from dvcl.methods import METHODS, Method
from dvcl.networks import Network, SegmentationNetwork
from dvcl.recipe import method_settings
from dvcl.studies.run import check_method

COLUMNS = (
    "method", "paper", "learns from unlabelled scans by", "networks trained", "predicts with",
    "extra cost of a step",
)  # fmt: skip
WIDEST_TYPE = 16  # columns of a terminal
COMMAND = "python -m dvcl.commands.methods docs/methods.md"
BEGIN, END = f"<!-- written by: {COMMAND} -->", "<!-- end of what is written -->"


class Docstring(NamedTuple):
    """The parts of a method's docstring, in the form that CONTRIBUTING.md asks for.

    Attributes:
        summary: Its first line.
        about: Its second paragraph: address, idea, what predicts.
        meanings: Of its arguments, by name.
    """

    summary: str
    about: str
    meanings: dict[str, str]

    @property
    def paper(self) -> str:
        """Authors, venue and year: what the summary has in brackets at its end."""
        return _found(r"\(([^()]+)\)\.$", self.summary)

    @property
    def address(self) -> str:
        """Of the paper or its code."""
        return _found(r"(https://\S+?)\.?(?:\s|$)", self.about)

    @property
    def predicts_with(self) -> str:
        """From the sentence "Predicts with ..."."""
        return _found(r"Predicts with ([^.,;]+)", self.about)


def read_docstring(kind: type[Method]) -> Docstring:
    """Take a method's Google-style docstring apart; line breaks become spaces."""
    prose, _, arguments = (inspect.getdoc(kind) or "").partition("\nArgs:\n")
    summary, about, *_ = *map(_joined, prose.split("\n\n")), ""
    # An argument begins at the fourth column; the lines that continue it are deeper.
    section = arguments.partition("\n\n")[0]
    entries = re.findall(r"^ {4}(\w+): (.*?)(?=^ {4}\S|\Z)", section, re.M | re.S)
    return Docstring(summary, about, {name: _joined(meaning) for name, meaning in entries})


@cache
def trained_networks(name: str) -> int:
    """How many segmentation networks a method trains, counted in a tiny one."""
    build = partial(Network(base_channels=1).build, 3, random=torch.Generator())
    parts = METHODS[name](build, 3).modules()
    networks = (part for part in parts if isinstance(part, SegmentationNetwork))
    return sum(all(w.requires_grad for w in network.parameters()) for network in networks)


def method_rows() -> list[tuple[str, ...]]:
    """One row of `COLUMNS` per method."""
    rows: list[tuple[str, ...]] = []
    for name, kind in METHODS.items():
        text, networks = read_docstring(kind), trained_networks(name)
        facts = (kind.learns_by, str(networks), text.predicts_with, kind.extra_cost)
        rows.append((name, text.paper, *facts))
    return rows


def setting_rows(name: str) -> list[tuple[str, ...]]:
    """Name, type, default and meaning of a method's settings, in the constructor's order."""
    meanings = read_docstring(METHODS[name]).meanings
    return [
        (setting, _type(kind), _value(default), meanings.get(setting, ""))
        for setting, (kind, default) in method_settings(name).items()
    ]


def methods_table() -> Table:
    """All methods for the terminal, in lines that fit a narrow one."""
    table = _table("method", "paper, what unlabelled scans are for, what is trained and predicts")
    for name, paper, learns_by, networks, predicts_with, cost in method_rows():
        what = (
            f"{paper}. Unlabelled scans: {learns_by}. Trains {counted(networks, 'network')}, "
            f"predicts with {predicts_with}. Extra cost: {cost}."
        )
        table.add_row(name, Text(what))
    return table


def describe_method(name: str) -> list[Text | Table]:
    """One method for the terminal: what its docstring says first, then its settings.

    Raises:
        InputError: When there is no such method; with the nearest one.
    """
    check_method(name)
    text, settings = read_docstring(METHODS[name]), setting_rows(name)
    head = Text(f"{name}: {text.summary}\n\n{_plain(text.about)}\n")
    if not settings:
        return [head, Text("It has no settings.")]
    table = _table("setting", "type", "default", "meaning")
    table.columns[1].max_width = WIDEST_TYPE
    for row in settings:
        table.add_row(*(Text(_plain(cell)) for cell in row))
    how = f"Set under [methods.{name}] in a recipe, or with --set methods.{name}.SETTING=VALUE."
    return [head, table, Text(how)]


def method_facts(name: str | None) -> dict[str, Any]:
    """For programs: every method, or one method and its settings."""
    methods = [dict(zip(COLUMNS, row, strict=True)) for row in method_rows()]
    if name is None:
        return {"methods": methods}
    keys = ("type", "default", "meaning")
    settings = {key: dict(zip(keys, rest, strict=True)) for key, *rest in setting_rows(name)}
    (row,) = (row for row in methods if row["method"] == name)
    return {**row, "settings": settings}


def methods_markdown() -> str:
    """The table of `docs/methods.md`; papers are links."""
    lines = [COLUMNS, ("---",) * len(COLUMNS)]
    for name, paper, *facts in method_rows():
        address = read_docstring(METHODS[name]).address
        lines.append((f"`{name}`", f"[{paper}]({address})", *facts))
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def with_table(page: str) -> str:
    """The page with the table between its two markers made anew."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(f"the page lacks one of its two markers, {BEGIN} and {END}.")
    return f"{before}{begin}\n\n{methods_markdown()}\n{end}{after}"


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number == 0)
    return table


def _type(kind: Any) -> str:
    """A setting's type in the words of a recipe."""
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is typing.Literal:
        return " or ".join(map(str, arguments))
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        return " or ".join(map(_type, arguments))
    if arguments:
        return f"[{', '.join(map(_type, arguments))}]"
    return {bool: "true or false", type(None): "none"}.get(kind, kind.__name__)


def _value(default: Any) -> str:
    """A default as a recipe writes it."""
    if isinstance(default, tuple):
        return f"[{', '.join(map(_value, default))}]"
    if isinstance(default, bool | None):
        return str(default).lower()
    return f"{default:.4g}" if isinstance(default, float) else str(default)


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else ""


def _joined(lines: str) -> str:
    return " ".join(lines.split())


def _plain(text: str) -> str:
    """Without the marks of code."""
    return text.replace("`", "")


def _update(path: Path) -> None:
    write_text(path, with_table(path.read_text(encoding="utf-8")))


if __name__ == "__main__":
    _update(Path(sys.argv[1]))
