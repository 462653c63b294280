"""One page per comparison: tables, tests, every case, curves, cost, settings; opens offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dvcl.commands.compare_results import Findings
from dvcl.commands.comparison import Entry
from dvcl.commands.evaluate import SCORES
from dvcl.evaluation.cases import CaseScore
from dvcl.evaluation.score_file import read_scores
from dvcl.evaluation.summary import spread, summarise
from dvcl.files import read_json
from dvcl.report import html
from dvcl.report.boxes import organ_boxes
from dvcl.report.curves import validation_curves
from dvcl.report.figures import png_bytes, save_figure
from dvcl.report.settings_curve import settings_curve
from dvcl.training.journal import read_journal


def write_comparison_page(
    folder: Path, entries: Sequence[Entry], findings: Sequence[Findings]
) -> Path:
    """Write ``index.html``, and its figures as PNG and PDF, from recorded runs only."""
    finished = [entry for entry in entries if (entry.folder / SCORES).exists()]
    sections = []
    for found in findings:
        members = [entry for entry in finished if entry.label == found.title]
        sections += _group(folder, found, members)
    sections += _varied(folder, finished)
    sections += [
        html.heading("Settings and versions"),
        *(html.settings(_record(entry), f"Settings of {entry.title}") for entry in finished),
        html.text("Research software: these label maps are not for diagnosis or treatment."),
    ]
    path = folder / "index.html"
    done = f"{len(finished)} of {len(entries)} runs are finished and shown"
    html.write_page(path, f"Comparison {folder.name}", sections, done)
    return path


def _group(folder: Path, found: Findings, members: Sequence[Entry]) -> list[html.Section]:
    scores: dict[str, list[CaseScore]] = {}
    for entry in members:
        scores.setdefault(entry.method, []).extend(read_scores(entry.folder / SCORES))
    boxes = organ_boxes(scores)
    journals = {entry.run_name: read_journal(entry.folder / "journal.jsonl") for entry in members}
    curves = validation_curves(journals)
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


def _varied(folder: Path, finished: Sequence[Entry]) -> list[html.Section]:
    """The curve of a setting, where a single one was varied."""
    names = {change.partition("=")[0] for entry in finished for change in entry.varied}
    if len(names) != 1 or len({(e.study, e.labelled_cases) for e in finished}) != 1:
        return []
    (name,) = names
    dice: dict[str, dict[str, list[float]]] = {}
    for entry in finished:
        value = entry.varied[0].partition("=")[2]
        mean = summarise(read_scores(entry.folder / SCORES)).mean_dice
        dice.setdefault(entry.method, {}).setdefault(value, []).append(mean)
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


def _record(entry: Entry) -> Mapping[str, Any]:
    record = read_json(entry.folder / "run.json")
    return {**record["made_with"], "hash": record["hash"], **record["settings"]}
