"""A recipe: all settings of a study, every key checked."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any

from dvcl.errors import InputError, shown
from dvcl.inference.sliding_window import Window
from dvcl.losses.supervised import SupervisedLoss
from dvcl.methods import METHODS
from dvcl.networks import Network
from dvcl.preprocessing.prepare import Preprocessing
from dvcl.recipe.values import LONGEST, Table, check_values, hint, nearest_setting
from dvcl.sampling.settings import Sampling
from dvcl.splits import Division
from dvcl.training.optimisation import Training


@dataclass(frozen=True)
class Recipe:
    """Everything a run needs besides data, method name and seed.

    Attributes:
        name: Of the file.
        about: One line on what the recipe is for.
        preprocessing: Raw to store.
        split: Which case is for what.
        sampling: Store to batches.
        network: What is trained.
        loss: What it learns from labels.
        training: The schedule.
        window: How volumes are predicted.
        methods: Settings that differ from the methods' defaults, by method name.
    """

    name: str
    about: str = ""
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    split: Division = field(default_factory=Division)
    sampling: Sampling = field(default_factory=Sampling)
    network: Network = field(default_factory=Network)
    loss: SupervisedLoss = field(default_factory=SupervisedLoss)
    training: Training = field(default_factory=Training)
    window: Window = field(default_factory=Window)
    methods: Mapping[str, Table] = field(default_factory=dict)

    def to_json(self) -> Table:
        """Plain values, as a TOML file holds them."""
        return {key: _plain(value) for key, value in dataclasses.asdict(self).items()}


SECTIONS: dict[str, type] = {
    "preprocessing": Preprocessing,
    "split": Division,
    "sampling": Sampling,
    "network": Network,
    "loss": SupervisedLoss,
    "training": Training,
    "window": Window,
}


def parse_recipe(table: Mapping[str, Any], name: str, source: str) -> Recipe:
    """Build a recipe from plain values, listing everything that is wrong with them.

    Raises:
        InputError: As `load_recipe`.
    """
    problems: list[str] = []
    known = ["name", "about", *SECTIONS, "methods"]
    problems += [
        f"{source}: unknown key {shown(key)}{_key_hint(key, table[key], known)}"
        for key in table
        if key not in known
    ]
    sections = {
        key: _section(kind, table.get(key, {}), key, source, problems)
        for key, kind in SECTIONS.items()
    }
    about = table.get("about", "")
    if not isinstance(about, str):
        problems.append(f"{source}: about: {shown(about)} found, str expected")
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


@cache
def every_setting() -> tuple[str, ...]:
    """All settings of a recipe: "training.rate", "methods.dvcl.neighbours"."""
    common = [f"{key}.{field.name}" for key, kind in SECTIONS.items() for field in fields(kind)]
    own = [f"methods.{method}.{name}" for method in METHODS for name in method_settings(method)]
    return *common, *own


def _key_hint(key: str, value: Any, known: list[str]) -> str:
    """A section that is like it, or the setting whose section was left out."""
    near = None if isinstance(value, Mapping) else nearest_setting(key[:LONGEST], every_setting())
    return f"; did you mean {near!r}?" if near else hint(key, known)


def _section(kind: type, values: Any, section: str, source: str, problems: list[str]) -> Any:
    hints = typing.get_type_hints(kind)
    schema = {item.name: (hints[item.name], item.default) for item in fields(kind)}
    checked = check_values(schema, values, section, source, problems, every_setting)
    try:
        return kind(**checked)
    except InputError as error:
        problems += error.problems
        return None


def _methods(values: Any, source: str, problems: list[str]) -> dict[str, Table]:
    """Settings by method name, converted."""
    if not isinstance(values, Mapping):
        problems.append(f"{source}: methods: {shown(values)} found, a section expected")
        return {}
    problems += [
        f"{source}: unknown method {shown(method)}{hint(method, METHODS)}"
        for method in values
        if method not in METHODS
    ]
    return {
        method: check_values(
            method_settings(method), settings, f"methods.{method}", source, problems, every_setting
        )
        for method, settings in values.items()
        if method in METHODS
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: "none" if item is None else _plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value
