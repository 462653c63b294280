"""Which recorded runs belong to a row of a table of the paper, and which can stand side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dvcl.comparison.records import RunRecord, apart_from_methods
from dvcl.comparison.seeds import on_shared_seeds
from dvcl.errors import InputError
from dvcl.files import sha256_of_json
from dvcl.paper.tables import PaperTable, Row
from dvcl.recipe import method_settings

Found = list[list[RunRecord]]


def found_rows(table: PaperTable, records: Sequence[RunRecord]) -> Found:
    """The runs of every row, one per seed: of the seeds that all rows have, if there are any.

    Args:
        table: Which.
        records: Of the same data, labelled cases and schedule.

    Raises:
        InputError: When rows differ in more than the table says.
    """
    rows: list[dict[int, RunRecord]] = []
    for row in table.rows:
        runs: dict[int, RunRecord] = {}
        for record in records:
            if belongs(record, row):
                runs.setdefault(record.entry.seed, record)
        rows.append(runs)
    found = on_shared_seeds(rows)
    _check_alike(table, found)
    return found


def belongs(record: RunRecord, row: Row) -> bool:
    """Whether a run has the row's settings, and was varied in nothing that the row leaves alone."""
    if record.entry.method != row.method:
        return False
    named = {f"methods.{row.method}.{key}" for key in row.settings}
    varied = {change.partition("=")[0] for change in record.entry.varied}
    settings = settings_of(record)
    return varied <= named and all(settings[key] == value for key, value in row.settings.items())


def settings_of(record: RunRecord) -> dict[str, Any]:
    """All settings of the run's method, those of the defaults too."""
    method = record.entry.method
    defaults = {
        name: "none"
        if default is None
        else list(default)
        if isinstance(default, tuple)
        else default
        for name, (_, default) in method_settings(method).items()
    }
    return defaults | dict(record.settings["recipe"]["methods"].get(method, {}))


def comparable(records: Sequence[RunRecord]) -> dict[str, list[RunRecord]]:
    """Runs that differ in nothing but settings of methods, by hash of all else."""
    groups: dict[str, list[RunRecord]] = {}
    for record in records:
        if all(change.startswith("methods.") for change in record.entry.varied):
            groups.setdefault(sha256_of_json(apart_from_methods(record)), []).append(record)
    return groups


def _check_alike(table: PaperTable, found: Found) -> None:
    """Refuse runs of one method that differ in settings that no row of the table names."""
    named: dict[str, set[str]] = {}
    for row in table.rows:
        named.setdefault(row.method, set()).update(row.settings)
    variants: dict[str, dict[str, str]] = {}
    for record in (record for runs in found for record in runs):
        method = record.entry.method
        rest = {k: v for k, v in settings_of(record).items() if k not in named[method]}
        variants.setdefault(method, {})[sha256_of_json(rest)] = record.entry.title
    problems = [
        f"method {method}: these runs differ in settings that the table does not vary: "
        f"{'; '.join(titles.values())}; all alike were expected. Keep one kind in the folder."
        for method, titles in variants.items()
        if len(titles) > 1
    ]
    if problems:
        raise InputError(problems, f"{table.title} cannot be made:")
