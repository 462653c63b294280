"""``report.json``: what the page of a comparison says, for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dvcl import __version__
from dvcl.comparison.audit import Audit
from dvcl.comparison.cost import costs
from dvcl.comparison.findings import Findings, dice_by_case
from dvcl.comparison.label_curves import LabelCurve
from dvcl.comparison.records import RunRecord
from dvcl.comparison.setting_curves import setting_curves
from dvcl.evaluation.statistics import Comparison
from dvcl.evaluation.summary import Spread, Summary, spread
from dvcl.files import defined, sha256_of_json, write_json

# Of `Summary`: fractions, and mm.
MEANS = ("mean_dice", "mean_jaccard", "mean_nsd", "mean_hd95_mm", "mean_assd_mm")


def write_report_json(
    path: Path,
    records: Sequence[RunRecord],
    findings: Sequence[Findings],
    said: Mapping[str, str],
    audits: Mapping[str, Audit],
    labels: Sequence[LabelCurve],
) -> None:
    """Write all numbers; fractions as such, what is not defined as null.

    Args:
        path: The JSON file.
        records: All runs.
        findings: Made from them.
        said: Each one's answer in words, by title.
        audits: Data of each base.
        labels: What more labels are worth.
    """
    groups = [
        {
            "title": found.title,
            "variants": found.variants,
            "answer": said[found.title],
            "reference": found.reference,
            "rows": _rows(found),
            "setting_curves": _curves(found),
            "audit": asdict(audits[found.base]),
        }
        for found in findings
    ]
    runs = [_run(record) for record in records]
    gains = [
        {
            "title": curve.title,
            "mean_dice": {m: _spreads(line) for m, line in curve.lines.items()},
            "gains": {method: _difference(gain) for method, gain in curve.gains.items()},
        }
        for curve in labels
    ]
    told = {"dvcl": __version__, "groups": groups, "labels": gains, "runs": runs}
    write_json(path, defined(told))


def _rows(found: Findings) -> list[dict[str, Any]]:
    cost, cases, last = costs(found), dice_by_case(found.summaries), found.last
    return [
        {
            "name": name,
            "method": found.runs[name][0].entry.method,
            "varied": list(found.runs[name][0].entry.varied),
            "seeds": [record.entry.seed for record in found.runs[name]],
            **{score: _over_seeds([getattr(s, score) for s in seeds]) for score in MEANS},
            "organ_dice": _organs(seeds),
            "last_mean_dice": _over_seeds([summary.mean_dice for summary in last[name]]),
            "collapsed": {str(seed): how for seed, how in found.collapses.get(name, {}).items()},
            "case_dice": cases[name],
            "difference": _difference(found.paired[name]) if name in found.paired else None,
            "cost": asdict(cost[name]),
        }
        for name, seeds in found.summaries.items()
    ]


def _over_seeds(values: Sequence[float]) -> dict[str, float]:
    found = spread(values)
    return {"mean": found.mean, "sd": found.sd}


def _organs(seeds: Sequence[Summary]) -> dict[str, dict[str, float]]:
    dice: dict[str, list[float]] = {}
    for organ in (organ for summary in seeds for organ in summary.organs):
        dice.setdefault(organ.organ, []).append(organ.dice.mean)
    return {organ: _over_seeds(values) for organ, values in dice.items()}


def _spreads(line: Mapping[int, Spread]) -> dict[str, dict[str, float]]:
    return {str(number): asdict(dice) for number, dice in line.items()}


def _difference(found: Comparison) -> dict[str, Any]:
    return {**asdict(found), "shown": found.shown, "verdict": found.verdict}


def _curves(found: Findings) -> dict[str, Any]:
    return (
        {name: asdict(curve) for name, curve in setting_curves(found).items()}
        if (found.variants)
        else {}
    )


def _run(record: RunRecord) -> dict[str, Any]:
    study, group, method, seed = record.key
    return {
        "study": study, "group": group, "method": method, "seed": seed,
        "hash": record.hash, "settings_sha256": sha256_of_json(record.settings),
        "data": record.settings["data"], "made_with": dict(record.made_with),
    }  # fmt: skip
