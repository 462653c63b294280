"""What run.json holds, and in what the settings of two runs differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

from dvcl.datasets.dataset import Modality
from dvcl.recipe import parse_recipe
from dvcl.records import Count, Name
from dvcl.training.kernels import Kernel
from dvcl.training.precision import Precision


class StartRecord(TypedDict):
    """The run that another one began with: its folder, its weights' SHA-256, what was taken."""

    run: Name
    weights: Name
    taken: str


class SettingsRecord(TypedDict):
    """All that decides a run's result, in run.json; of a start the hash of its weights."""

    method: Name
    seed: Count
    recipe: dict[str, Any]
    split: dict[str, list[str]]
    labels: dict[str, str]
    modality: Modality
    data: str
    edition: NotRequired[Count]
    start: NotRequired[Name]
    extended_at: NotRequired[list[Count]]
    pseudo_labelled: NotRequired[list[Name]]


class KernelRecord(TypedDict):
    """`dvcl.training.kernels.Kernels`."""

    taken: list[Kernel]
    found: dict[Kernel, str]


class RunRecord(TypedDict):
    """run.json; a precision, the kernels and the versions came later."""

    settings: SettingsRecord
    hash: str
    store: str
    note: str
    split_seed: int
    precision: NotRequired[Precision]
    kernels: NotRequired[KernelRecord]
    label_maps: NotRequired[str]
    made_with: NotRequired[dict[str, str]]
    start: NotRequired[StartRecord]


def differences(old: Mapping[str, Any], new: Mapping[str, Any], where: str = "") -> list[str]:
    """Leaves in which two nested settings differ."""
    found = []
    for key in [*old, *(key for key in new if key not in old)]:
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += differences(before, after, f"{where}{key}.")
        elif before != after:
            found.append(f"{where}{key}: {_short(before)} there, {_short(after)} asked for")
    return found


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def completed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Recorded settings with the defaults of those that came later."""
    recipe = dict(settings["recipe"])
    whole = parse_recipe(recipe, recipe["name"], "run.json").to_json()
    return {**settings, "recipe": deciding(whole)}


def deciding(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What of a recipe, as plain values, decides a run's result.

    Not how the split was made, only what it is; nor what makes it fast.
    """
    training = {key: value for key, value in recipe["training"].items() if key != "compile"}
    rest = {key: value for key, value in recipe.items() if key != "split"}
    return {**rest, "training": training}
