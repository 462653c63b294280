"""Records that this program wrote, read back: every field must have the type it was written with.

A kind is a `TypedDict`, or one of int, float, str, bool, Any, a Literal, a list, a dict with str
keys, a union, or one of these with a `Rule` (`Annotated`). Numbers are finite, integers fit 64
bits. Fields beyond those of a kind are left aside: a later version may have written them.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple, NotRequired, TypeVar

from dvcl.errors import InputError, shown
from dvcl.files import read_json

T = TypeVar("T")
Check = Callable[[Any], None]
BIGGEST = 2**63


class Rule(NamedTuple):
    """What a value must fulfil beyond its type; ``words`` tell what is expected."""

    holds: Callable[[Any], bool]
    words: str


Count = Annotated[int, Rule(lambda value: value >= 0, "a whole number of at least 0")]
Amount = Annotated[float, Rule(lambda value: value >= 0, "a number of at least 0")]
Positive = Annotated[float, Rule(lambda value: value > 0, "a number above 0")]
Name = Annotated[str, Rule(bool, "a text that is not empty")]


class Misfit(ValueError):
    """A value that is not of its kind, and where it stands."""

    def __init__(self, value: Any, expected: str) -> None:
        super().__init__(value, expected)
        self.place: list[str] = []
        self.value, self.expected = value, expected

    def __str__(self) -> str:
        place = f"{'.'.join(self.place[::-1])}: " if self.place else ""
        return f"{place}{shown(self.value)} found, {self.expected} expected"


@contextmanager
def read_record(path: Path | str, kind: type[T], remedy: str) -> Iterator[T]:
    """Yield the content of a JSON file that this program wrote, to be taken apart in the block.

    Raises:
        InputError: When the file is missing, is not JSON, or does not hold a ``kind`` or what the
            block looks for; ends with ``remedy``.
    """
    value = read_json(path, remedy)
    with explained(path, remedy):
        check(value, kind)
        yield value


@contextmanager
def explained(place: Path | str, remedy: str) -> Iterator[None]:
    """Whatever goes wrong in the block with a record's values is that of the record at ``place``.

    Raises:
        InputError: Names ``place`` and ends with ``remedy``.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        told = error if isinstance(error, Misfit) else f"{type(error).__name__}: {error}"
        raise InputError(f"{place}: is not as this program writes it ({told}). {remedy}") from error
    except InputError as error:
        if all(problem.startswith(str(place)) for problem in error.problems):
            raise
        told = " ".join(error.problems)
        raise InputError(f"{place}: cannot be used ({told}) {remedy}") from error


def check(value: Any, kind: Any) -> None:
    """Make sure that a plain value, as JSON gives it, is of a kind.

    Raises:
        Misfit: Names the first field that is not, its value and what was expected.
    """
    _checker(kind)(value)


@cache
def _checker(kind: Any) -> Check:
    """The check of a kind, made once: a journal has tens of thousands of rows."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return lambda value: None
    if origin is Annotated:
        return _ruled(_checker(arguments[0]), arguments[1])
    if origin is typing.Literal:
        return _of(lambda value: value in arguments, " or ".join(map(repr, arguments)))
    if origin in (types.UnionType, typing.Union):
        return _union([_checker(part) for part in arguments], kind)
    if origin is list:
        return _list(_checker(arguments[0]))
    if origin is dict:
        return _dict(_checker(arguments[1]))
    if typing.is_typeddict(kind):
        return _fields(kind)
    return _of(*PLAIN[kind])


def _is_whole(value: Any) -> bool:
    return type(value) is int and -BIGGEST < value < BIGGEST


PLAIN: dict[Any, tuple[Callable[[Any], bool], str]] = {
    int: (_is_whole, "a whole number"),
    float: (
        lambda value: math.isfinite(value) if type(value) is float else _is_whole(value),
        "a finite number",
    ),
    str: (lambda value: type(value) is str, "a text"),
    bool: (lambda value: type(value) is bool, "true or false"),
    type(None): (lambda value: value is None, "null"),
}


def _of(holds: Callable[[Any], bool], expected: str) -> Check:
    def check(value: Any) -> None:
        if not holds(value):
            raise Misfit(value, expected)

    return check


def _ruled(inner: Check, rule: Rule) -> Check:
    def check(value: Any) -> None:
        inner(value)
        if not rule.holds(value):
            raise Misfit(value, rule.words)

    return check


def _union(parts: list[Check], kind: Any) -> Check:
    expected = " or ".join(
        PLAIN[part][1] if part in PLAIN else str(part) for part in typing.get_args(kind)
    )

    def check(value: Any) -> None:
        for part in parts:
            try:
                return part(value)
            except Misfit as misfit:
                if misfit.place:
                    raise
        raise Misfit(value, expected)

    return check


def _list(inner: Check) -> Check:
    def check(value: Any) -> None:
        if type(value) is not list:
            raise Misfit(value, "a list")
        for number, item in enumerate(value):
            _within(str(number), inner, item)

    return check


def _dict(inner: Check) -> Check:
    def check(value: Any) -> None:
        if type(value) is not dict:
            raise Misfit(value, "a table")
        for key, item in value.items():
            _within(key, inner, item)

    return check


def _fields(kind: Any) -> Check:
    hints = typing.get_type_hints(kind, include_extras=True)
    optional = {key for key, hint in hints.items() if typing.get_origin(hint) is NotRequired}
    inner = {
        key: _checker(typing.get_args(hint)[0] if key in optional else hint)
        for key, hint in hints.items()
    }

    def check(value: Any) -> None:
        if type(value) is not dict:
            raise Misfit(value, f"a table with {', '.join(inner)}")
        for key, part in inner.items():
            if key in value:
                _within(key, part, value[key])
            elif key not in optional:
                raise Misfit(sorted(value), f"a table with {key}")

    return check


def _within(key: str, inner: Check, value: Any) -> None:
    try:
        inner(value)
    except Misfit as misfit:
        misfit.place.append(key)
        raise
