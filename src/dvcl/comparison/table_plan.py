"""The runs behind a table of the paper."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dvcl.comparison.plan import Entry, Equal, check_lists, group_name
from dvcl.paper.tables import PaperTable, Row
from dvcl.recipe import Recipe, method_settings


def plan_table(
    table: PaperTable,
    recipes: Mapping[Path, Recipe],
    seeds: Sequence[int],
    labelled_cases: Sequence[int | None],
    name: str,
    equal: Equal = "steps",
) -> list[Entry]:
    """All runs of a table, each once, ordered and named as `comparison.plan` does.

    A row whose settings are those of the recipe is the unchanged run of its method, which other
    tables of the same comparison have too.

    Args:
        table: Which.
        recipes: Of every study.
        seeds: Of each row.
        labelled_cases: Numbers of labelled cases; None keeps all.
        name: Of the comparison.
        equal: As for `comparison.plan`.

    Raises:
        InputError: When a list is empty or holds something twice.
    """
    check_lists({"studies": list(recipes), "seeds": seeds, "labelled cases": labelled_cases})
    entries = (
        Entry(study, method, seed, number, varied, group_name(name, number, varied, equal))
        for seed in seeds
        for study, recipe in recipes.items()
        for number in labelled_cases
        for method, varied in _variants(table.rows, recipe)
    )
    return list(dict.fromkeys(entries))


def _variants(rows: Sequence[Row], recipe: Recipe) -> Iterator[tuple[str, tuple[str, ...]]]:
    for row in rows:
        yield row.method, changes(row, recipe)


def changes(row: Row, recipe: Recipe) -> tuple[str, ...]:
    """What a row changes in a recipe, as "key=value"; nothing where it is so already."""
    given = recipe.methods.get(row.method, {})
    defaults = {name: default for name, (_, default) in method_settings(row.method).items()}
    settings = {**defaults, **given}
    return tuple(
        f"methods.{row.method}.{key}={value if isinstance(value, str) else json.dumps(value)}"
        for key, value in row.settings.items()
        if settings[key] != value
    )
