"""A recipe: all settings of a study, read from TOML, every key checked."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from dvcl.errors import InputError
from dvcl.inference.sliding_window import Window
from dvcl.methods import METHODS
from dvcl.networks import Network
from dvcl.preprocessing.prepare import Preprocessing
from dvcl.sampling.streams import Sampling
from dvcl.training.optimisation import Training

Table = dict[str, Any]


@dataclass(frozen=True)
class Recipe:
    """Everything a run needs besides data, method name and seed.

    Attributes:
        name: Of the file.
        about: One line on what the recipe is for.
        preprocessing: Raw to store.
        sampling: Store to batches.
        network: What is trained.
        training: The schedule.
        window: How volumes are predicted.
        methods: Settings that differ from the methods' defaults, by method name.
    """

    name: str
    about: str = ""
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    sampling: Sampling = field(default_factory=Sampling)
    network: Network = field(default_factory=Network)
    training: Training = field(default_factory=Training)
    window: Window = field(default_factory=Window)
    methods: Mapping[str, Table] = field(default_factory=dict)

    def to_json(self) -> Table:
        """Plain values, as a TOML file holds them."""
        return {key: _plain(value) for key, value in dataclasses.asdict(self).items()}


SECTIONS: dict[str, type] = {
    "preprocessing": Preprocessing,
    "sampling": Sampling,
    "network": Network,
    "training": Training,
    "window": Window,
}


def recipe_folder() -> Path:
    """Where the recipes are: in the installed package, or beside the source tree."""
    installed = Path(str(resources.files("dvcl"))) / "recipes"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "recipes"


def load_recipe(name: str, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe by name or file, then apply changes such as "training.iterations=500".

    Raises:
        InputError: When there is no such recipe, a key is unknown (with the nearest known one), or
            a value has the wrong type.
    """
    path = Path(name) if name.endswith(".toml") else recipe_folder() / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(recipe.stem for recipe in recipe_folder().glob("*.toml")))
        raise InputError(f"recipe {name!r}: no such recipe. Known: {known}; or give a .toml file.")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid TOML ({error}). Correct the file.") from error
    for change in changes:
        _apply(table, change)
    return parse_recipe(table, path.stem, str(path))


def parse_recipe(table: Mapping[str, Any], name: str, source: str) -> Recipe:
    """Build a recipe from plain values, listing everything that is wrong with them.

    Raises:
        InputError: As `load_recipe`.
    """
    problems: list[str] = []
    known = ["name", "about", *SECTIONS, "methods"]
    problems += [
        f"{source}: unknown key {key!r}{_hint(key, known)}" for key in table if key not in known
    ]
    sections = {
        key: _section(kind, table.get(key, {}), f"{source}: {key}", problems)
        for key, kind in SECTIONS.items()
    }
    about = table.get("about", "")
    if not isinstance(about, str):
        problems.append(f"{source}: about: {about!r} found, str expected")
    methods = _methods(table.get("methods", {}), source, problems)
    if problems:
        raise InputError(problems, f"{source}: the settings are not valid:")
    return Recipe(name, about, **sections, methods=methods)


def method_settings(name: str) -> dict[str, tuple[Any, Any]]:
    """A method's settings: name -> (type, default); its constructor's keywords are the schema."""
    constructor = METHODS[name].__init__
    types_of = typing.get_type_hints(constructor)
    parameters = inspect.signature(constructor).parameters.values()
    return {
        parameter.name: (types_of[parameter.name], parameter.default)
        for parameter in parameters
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def _section(kind: type, values: Any, where: str, problems: list[str]) -> Any:
    hints = typing.get_type_hints(kind)
    schema = {item.name: (hints[item.name], item.default) for item in dataclasses.fields(kind)}
    checked = _check_values(schema, values, where, problems)
    try:
        return kind(**checked)
    except InputError as error:
        problems += error.problems
        return None


def _methods(values: Any, source: str, problems: list[str]) -> dict[str, Table]:
    """Settings by method name, converted."""
    if not isinstance(values, Mapping):
        problems.append(f"{source}: methods: {values!r} found, a section expected")
        return {}
    problems += [
        f"{source}: unknown method {method!r}{_hint(method, METHODS)}"
        for method in values
        if method not in METHODS
    ]
    return {
        method: _check_values(
            method_settings(method), settings, f"{source}: methods.{method}", problems
        )
        for method, settings in values.items()
        if method in METHODS
    }


def _check_values(
    schema: Mapping[str, tuple[Any, Any]], values: Any, where: str, problems: list[str]
) -> Table:
    """Values converted to their types; what is unknown or wrong goes to ``problems``."""
    if not isinstance(values, Mapping):
        problems.append(f"{where}: {values!r} found, a section expected")
        return {}
    checked = {}
    for key, value in values.items():
        if key not in schema:
            problems.append(f"{where}.{key}: unknown setting{_hint(key, schema)}")
            continue
        kind = schema[key][0]
        converted = _convert(value, kind)
        if converted is _WRONG:
            problems.append(f"{where}.{key}: {value!r} found, {_describe(kind)} expected")
        else:
            checked[key] = converted
    return checked


_WRONG = object()


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


def _apply(table: Table, change: str) -> None:
    """Set one dotted key, its value written as in TOML; bare words are strings."""
    key, separator, text = change.partition("=")
    if not separator or not key.strip():
        raise InputError(f"{change!r}: expected SECTION.KEY=VALUE, as training.iterations=500.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    *sections, last = key.strip().split(".")
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise InputError(f"{change!r}: {section!r} is a value, not a section.")
    table[last] = value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: "none" if item is None else _plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _hint(word: str, known: typing.Iterable[str]) -> str:
    known = list(known)
    near = difflib.get_close_matches(word, known, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"


def _describe(kind: Any) -> str:
    if typing.get_origin(kind) is typing.Literal:
        return " or ".join(repr(value) for value in typing.get_args(kind))
    return str(getattr(kind, "__name__", kind)) if not typing.get_args(kind) else str(kind)
