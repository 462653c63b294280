"""One page per comparison: tables, tests, every case, curves, cost, settings; opens offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dvcl.commands.compare_results import Findings, by_label
from dvcl.commands.records import RunRecord
from dvcl.evaluation.cases import CaseScore
from dvcl.evaluation.summary import spread, summarise
from dvcl.report import html
from dvcl.report.boxes import organ_boxes
from dvcl.report.curves import validation_curves
from dvcl.report.figures import png_bytes, save_figure
from dvcl.report.settings_curve import settings_curve


def write_comparison_page(
    folder: Path, records: Sequence[RunRecord], findings: Sequence[Findings], done: str
) -> Path:
    """Write ``index.html``, and its figures as PNG and PDF, from recorded runs only."""
    sections = []
    groups = by_label(records)
    for found in findings:
        sections += _group(folder, found, groups[found.title])
    sections += _varied(folder, records)
    sections += [
        html.heading("Settings and versions"),
        *(
            html.settings(_settings(record), f"Settings of {record.entry.title}")
            for record in records
        ),
        html.text("Research software: these label maps are not for diagnosis or treatment."),
    ]
    path = folder / "index.html"
    html.write_page(path, f"Comparison {folder.name}", sections, done)
    return path


def _group(folder: Path, found: Findings, records: Sequence[RunRecord]) -> list[html.Section]:
    scores: dict[str, list[CaseScore]] = {}
    for record in records:
        scores.setdefault(record.entry.method, []).extend(record.scores)
    boxes = organ_boxes(scores)
    curves = validation_curves({record.entry.run_name: record.validation for record in records})
    for name, figure in (("boxes", boxes), ("validation", curves)):
        save_figure(figure, folder / f"{name}, {found.title.replace(': ', ', ')}")
    return [
        html.heading(found.title),
        html.table(found.means),
        *([html.table(found.differences)] if found.differences else []),
        html.table(found.organs),
        html.picture(png_bytes(boxes), "Dice of every test case, those of all seeds together."),
        html.folded(
            "Validation during training",
            html.picture(png_bytes(curves), "Mean Dice of the validation cases."),
        ),
    ]


def _varied(folder: Path, records: Sequence[RunRecord]) -> list[html.Section]:
    """The curve of a setting, where a single one was varied."""
    entries = [record.entry for record in records]
    names = {change.partition("=")[0] for entry in entries for change in entry.varied}
    if len(names) != 1 or len({(e.study, e.labelled_cases) for e in entries}) != 1:
        return []
    (name,) = names
    dice: dict[str, dict[str, list[float]]] = {}
    for record in records:
        if record.entry.varied:
            value = record.entry.varied[0].partition("=")[2]
            mean = summarise(record.scores).mean_dice
            dice.setdefault(record.entry.method, {}).setdefault(value, []).append(mean)
    found = {
        method: {value: spread(means) for value, means in line.items()}
        for method, line in dice.items()
    }
    figure = settings_curve(name, found)
    save_figure(figure, folder / f"setting, {name}")
    return [
        html.heading(f"What {name} does"),
        html.picture(png_bytes(figure), "Mean test Dice; bars: standard deviation over seeds."),
    ]


def _settings(record: RunRecord) -> Mapping[str, Any]:
    entry = record.entry
    told = {"hash": record.hash, "method": entry.method, "seed": entry.seed}
    return {**record.made_with, **told, **record.settings}
