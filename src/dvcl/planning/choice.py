"""A chosen setting with its reason, and a recipe file in which every value carries one."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dvcl.recipe import Recipe, parse_recipe

LINE = 96  # of a comment, the hash included


@dataclass(frozen=True)
class Choice:
    """One value of a recipe.

    Attributes:
        value: Number, text, or tuple; None is written as "none".
        reason: One or two sentences, with the measured numbers.
    """

    value: Any
    reason: str


# "preprocessing.spacing_mm" -> its choice, in the order of the file.
Choices = dict[str, Choice]


def to_recipe(choices: Mapping[str, Choice], name: str, about: str = "") -> Recipe:
    """The recipe that these choices make.

    Raises:
        InputError: When they do not fit together.
    """
    table: dict[str, Any] = {"about": about}
    for key, choice in choices.items():
        *sections, last = key.split(".")
        inner = table
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[last] = "none" if choice.value is None else choice.value
    return parse_recipe(table, name, f"{name}.toml")


def to_toml(choices: Mapping[str, Choice], about: str, heading: str) -> str:
    """A recipe file: the heading and every reason as comments above what they explain."""
    lines = [*_comment(heading), f"about = {json.dumps(about, ensure_ascii=False)}"]
    section = ""
    for key, choice in choices.items():
        found, _, last = key.rpartition(".")
        if found != section:
            section = found
            lines += ["", f"[{section}]"]
        lines += [*_comment(choice.reason), f"{last} = {toml_value(choice.value)}"]
    return "\n".join(lines) + "\n"


def toml_value(value: Any) -> str:
    """A value as TOML writes it; None, which TOML lacks, as recipes do."""
    if value is None:
        return '"none"'
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(toml_value, value))}]"
    return json.dumps(value, ensure_ascii=False)


def by(values: tuple[float, ...]) -> str:
    """Such as "4 x 5 x 5"."""
    return " x ".join(f"{value:.3g}" for value in values)


def _comment(text: str) -> list[str]:
    wrap = textwrap.TextWrapper(LINE, initial_indent="# ", subsequent_indent="# ")
    return [line for paragraph in text.splitlines() for line in wrap.wrap(paragraph)]
