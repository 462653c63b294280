"""Values of a recipe: converted to the types that the settings ask for, or refused."""

from __future__ import annotations

import difflib
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from operator import and_, eq
from typing import Any

from dvcl.errors import shown

Table = dict[str, Any]

BIGGEST = 2**63  # what torch counts with
# Likeness of names, in [0, 1]; more for the section that was meant, and for the same beginning.
LIKE, SAME_SECTION, SAME_BEGINNING = 0.85, 0.45, 0.5


def check_values(
    schema: Mapping[str, tuple[Any, Any]],
    values: Any,
    section: str,
    source: str,
    problems: list[str],
    every: Callable[[], Iterable[str]] = tuple,
) -> Table:
    """Values converted to their types; what is unknown or wrong goes to ``problems``.

    Args:
        schema: {key: (type, default)} of the section.
        values: As the recipe has them.
        section: Its name, as "training".
        source: Named in the problems.
        problems: Receives them.
        every: Gives all settings of a recipe, "training.rate", to suggest one of.
    """
    where = f"{source}: {section}"
    if not isinstance(values, Mapping):
        problems.append(f"{where}: {shown(values)} found, a section expected")
        return {}
    checked = {}
    for key, value in values.items():
        if key not in schema:
            name = key[:LONGEST]
            near = nearest_setting(f"{section}.{name}", every())
            told = f"; did you mean {near!r}?" if near else hint(key, schema)
            problems.append(f"{where}.{name}: unknown setting{told}")
            continue
        kind = schema[key][0]
        converted = _convert(value, kind)
        if converted is _WRONG:
            problems.append(f"{where}.{key}: {shown(value)} found, {_describe(kind)} expected")
        else:
            checked[key] = converted
    return checked


_WRONG = object()
LONGEST = 100  # letters of a word that is compared with others


def _convert(value: Any, kind: Any) -> Any:
    """``value`` as ``kind``, or `_WRONG`; "none" stands for None, which TOML lacks."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        if value in ("none", None):
            return None
        return _convert(value, next(part for part in arguments if part is not type(None)))
    if origin is typing.Literal:
        return value if value in arguments else _WRONG
    if origin is tuple:
        return _convert_tuple(value, arguments)
    if isinstance(value, float) and not math.isfinite(value):
        return _WRONG
    if isinstance(value, int) and not abs(value) < BIGGEST:
        return _WRONG
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    matches = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
    return value if matches else _WRONG


def _convert_tuple(value: Any, arguments: tuple[Any, ...]) -> Any:
    if not isinstance(value, list | tuple):
        return _WRONG
    kinds = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
    if len(kinds) != len(value):
        return _WRONG
    parts = tuple(_convert(part, kind) for part, kind in zip(value, kinds, strict=True))
    return _WRONG if _WRONG in parts else parts


def nearest_setting(wanted: str, every: Iterable[str]) -> str | None:
    """The setting whose name is most like one that is not known; None where none is like it."""
    section, _, name = wanted.rpartition(".")

    def likeness(setting: str) -> float:
        its_section, _, its_name = setting.rpartition(".")
        alike = difflib.SequenceMatcher(None, name, its_name).ratio()
        begins = sum(accumulate(map(eq, name, its_name), and_)) / max(1, len(name))
        return alike + SAME_BEGINNING * begins + SAME_SECTION * (its_section == section)

    best = max(every, key=likeness, default=None)
    return best if best is not None and likeness(best) >= LIKE else None


def hint(word: str, known: Iterable[str]) -> str:
    """The known word nearest to one that is not known, else all known ones."""
    known = list(known)
    near = difflib.get_close_matches(word[:LONGEST], known, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"


def _describe(kind: Any) -> str:
    if typing.get_origin(kind) is typing.Literal:
        return " or ".join(repr(value) for value in typing.get_args(kind))
    if kind is float:
        return "a finite float"
    return str(getattr(kind, "__name__", kind)) if not typing.get_args(kind) else str(kind)
