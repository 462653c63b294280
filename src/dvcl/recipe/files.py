"""Recipes in files: found by name, put on top of their base, changed from the command line."""

from __future__ import annotations

import codecs
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from dvcl.errors import InputError, shown
from dvcl.recipe.settings import Recipe, parse_recipe
from dvcl.recipe.values import Table


def recipe_folder() -> Path:
    """Where the recipes are: in the installed package, or beside the source tree."""
    installed = Path(str(resources.files("dvcl"))) / "recipes"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "recipes"


def load_recipe(name: str, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe by name or file, then apply changes such as "training.iterations=500".

    A recipe may name another one as its ``base`` and hold only what differs from it.

    Raises:
        InputError: When there is no such recipe, the base has a base itself, a key is unknown
            (with the nearest known one), or a value has the wrong type.
    """
    path = recipe_path(name)
    table = _read_table(path)
    base = table.pop("base", None)
    if base is not None:
        table = _merged(_base_table(base, path), table)
    recipe = parse_recipe(table, path.stem, str(path))
    if not changes:
        return recipe
    for change in changes:
        _apply(table, change)
    return parse_recipe(table, path.stem, "--set")


def recipe_path(name: str) -> Path:
    """The file of a recipe given by its name, or as a file.

    Raises:
        InputError: When there is no such recipe.
    """
    path = Path(name) if name.endswith(".toml") else recipe_folder() / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(recipe.stem for recipe in recipe_folder().glob("*.toml")))
        raise InputError(f"recipe {name!r}: no such recipe. Known: {known}; or give a .toml file.")
    return path


def _read_table(path: Path) -> Table:
    content = path.read_bytes()
    try:
        # "-sig": editors on Windows put a byte order mark first.
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path}: line {line} is not UTF-8, the encoding of TOML; the file seems to be "
            f"{_encoding(content)}. Save it as UTF-8."
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid TOML ({error}). Correct the file.") from error


def _encoding(content: bytes) -> str:
    """What a file that is not UTF-8 most likely is."""
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return "UTF-16" if is_utf16 else "cp1252 (Windows) or another encoding of one byte"


def _base_table(base: Any, source: Path) -> Table:
    """What a recipe builds upon; one level, so that a reader looks into two files at most."""
    if not isinstance(base, str):
        raise InputError(f"{source}: base: {base!r} found, the name of a recipe expected.")
    # A file is looked for beside the recipe that names it.
    found = str(source.parent / base) if base.endswith(".toml") else base
    try:
        table = _read_table(recipe_path(found))
    except InputError as error:
        raise InputError([f"{source}: base: {problem}" for problem in error.problems]) from error
    if "base" in table:
        raise InputError(
            f"{source}: base: {base!r} has the base {table['base']!r} itself; a recipe without one "
            "was expected. Name that one, and write out what lies between."
        )
    return table


def _merged(base: Mapping[str, Any], table: Mapping[str, Any]) -> Table:
    """``table`` over ``base``, section by section and key by key."""
    merged = dict(base)
    for key, value in table.items():
        below = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        merged[key] = _merged(below, value) if both else value  # type: ignore[arg-type]
    return merged


def _apply(table: Table, change: str) -> None:
    """Set one dotted key, its value written as in TOML; bare words are strings."""
    key, separator, text = change.partition("=")
    if not separator or not key.strip():
        raise InputError(
            f"--set {change!r}: expected SECTION.KEY=VALUE, as training.iterations=500."
        )
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    except (ValueError, RecursionError) as error:
        raise InputError(f"--set {shown(change)}: the value cannot be read ({error}).") from error
    if isinstance(value, dict):
        raise InputError(
            f"--set {shown(change)}: a table found, which would take the place of a whole section; "
            "one value was expected. Give its settings one by one, as training.iterations=500."
        )
    *sections, last = key.strip().split(".")
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise InputError(f"--set {change!r}: {section!r} is a value, not a section.")
    table[last] = value
