"""What a setting does: means at every value that was tried, the unchanged one among them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dvcl import __version__
from dvcl.comparison.findings import Findings
from dvcl.comparison.records import RunRecord
from dvcl.comparison.seeds import on_shared_seeds
from dvcl.comparison.table_rows import settings_of
from dvcl.evaluation.summary import Spread, Summary, spread
from dvcl.report.settings_curve import number_first

Seeds = Mapping[int, Summary]


@dataclass(frozen=True)
class Curve:
    """Of one setting.

    Attributes:
        lines: Method -> value, as it was typed -> mean Dice over seeds.
        jaccard: The same of the Jaccard index.
        unchanged: Values that the methods have unchanged.
    """

    lines: dict[str, dict[str, Spread]]
    jaccard: dict[str, dict[str, Spread]]
    unchanged: set[str]


def setting_curves(found: Findings) -> dict[str, Curve]:
    """A curve for every setting that was varied by itself.

    Args:
        found: Variants of one group.
    """
    rows = {name: records[0] for name, records in found.runs.items()}
    names = dict.fromkeys(
        record.entry.varied[0].partition("=")[0]
        for record in rows.values()
        if len(record.entry.varied) == 1
    )
    return {name: _curve(found, rows, name) for name in names}


def _curve(found: Findings, rows: Mapping[str, RunRecord], setting: str) -> Curve:
    lines: dict[str, dict[str, Seeds]] = {}
    unchanged: dict[str, tuple[str, Seeds]] = {}
    for row, record in rows.items():
        seeds: Seeds = found.by_seed[row]
        key, _, value = "".join(record.entry.varied[:1]).partition("=")
        if not record.entry.varied and (known := setting_value(record, setting)) is not None:
            unchanged[record.entry.method] = (known, seeds)
        elif len(record.entry.varied) == 1 and key == setting:
            lines.setdefault(record.entry.method, {})[value] = seeds
    for method, (value, unvaried) in unchanged.items():
        line = lines.get(method, {})
        # A value that was also tried is not drawn twice, however it was typed.
        if line and number_first(value) not in map(number_first, line):
            line[value] = unvaried
    same = {number_first(value) for value, _ in unchanged.values()}
    tried = {value for line in lines.values() for value in line}
    return Curve(
        _spreads(lines, "mean_dice"),
        _spreads(lines, "mean_jaccard"),
        {value for value in tried if number_first(value) in same},
    )


def _spreads(lines: Mapping[str, Mapping[str, Seeds]], score: str) -> dict[str, dict[str, Spread]]:
    """Of a score over the seeds that all values of a method have."""
    return {
        method: {
            value: spread([getattr(summary, score) for summary in summaries])
            for value, summaries in zip(line, on_shared_seeds([*line.values()]), strict=True)
        }
        for method, line in lines.items()
    }


def setting_value(record: RunRecord, setting: str) -> str | None:
    """A setting of a run as it would be typed; None where neither record nor code tell.

    The record holds what its recipe says; what a method has by itself is looked up in the method,
    if the run was made by this version.
    """
    value: Any = record.settings["recipe"]
    parts = setting.split(".")
    for part in parts:
        value = value.get(part) if isinstance(value, Mapping) else None
    method, made_with = record.entry.method, record.made_with
    if value is None and parts[:2] == ["methods", method] and made_with["dvcl"] == __version__:
        value = settings_of(record).get(parts[-1])
    if value is None:
        return None
    return value if isinstance(value, str) else json.dumps(value)
