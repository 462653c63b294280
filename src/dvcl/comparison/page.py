"""One page per comparison: answers, tables, every case, pictures, cost, data; opens offline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from dvcl.comparison.across import TITLE, Across
from dvcl.comparison.audit import Audit, audit
from dvcl.comparison.choice import UNCHOSEN, Chosen, hardest_organs
from dvcl.comparison.cost import cost_reference, costs
from dvcl.comparison.findings import Findings, file_title
from dvcl.comparison.label_curves import LabelCurve
from dvcl.comparison.pictures import case_scenes, sections_figure, worst_pictures
from dvcl.comparison.records import RunRecord
from dvcl.comparison.report_json import write_report_json
from dvcl.comparison.setting_curves import setting_curves
from dvcl.evaluation.cases import CaseScore
from dvcl.files import sha256_of_json
from dvcl.report import html
from dvcl.report.answer import answer
from dvcl.report.boxes import organ_boxes
from dvcl.report.costs import cost_table
from dvcl.report.figures import png_bytes, save_figure
from dvcl.report.method_curves import method_curves
from dvcl.report.settings_curve import settings_curve
from dvcl.viewer.scene import Scene
from dvcl.viewer.section import MOST_SCENES, viewer


def write_comparison_page(
    folder: Path,
    records: Sequence[RunRecord],
    findings: Sequence[Findings],
    across: Across,
    done: str,
    chosen: Chosen = UNCHOSEN,
) -> Path:
    """Write ``index.html``, its figures as PNG and PDF, and ``report.json``.

    Args:
        folder: Of the comparison.
        records: All of them.
        findings: Made from them.
        across: What these say together.
        done: How far the comparison is.
        chosen: What the pictures show.
    """
    audits: dict[str, Audit] = {}
    said: dict[str, str] = {}
    sections = [html.heading(TITLE), html.table(across.overview)] if across.overview else []
    scenes: list[Scene] = []
    for found in findings:
        said[found.title] = _answer(found)
        sections += [html.heading(found.title), html.text(said[found.title])]
        sections += _variants(folder, found) if found.variants else _group(folder, found, chosen)
        if not found.variants and len(scenes) < MOST_SCENES:
            scenes += case_scenes(found, chosen)
        sections += _cost(found)
        # Variants have the data of their group: told once.
        if found.base not in audits:
            audits[found.base] = audit(next(iter(found.runs.values())))
            sections += _audit(audits[found.base])
    for curve in across.labels:
        sections += _labels(folder, curve)
    if scenes:
        sections += [html.heading("Scroll through cases"), viewer(scenes[:MOST_SCENES])]
    sections += [
        html.heading("Settings and versions"),
        *_settings(records),
        html.text("Research software: these label maps are not for diagnosis or treatment."),
    ]
    write_report_json(folder / "report.json", records, findings, said, audits, across.labels)
    path = folder / "index.html"
    html.write_page(path, f"Comparison {folder.name}", sections, done)
    return path


def _answer(found: Findings) -> str:
    on_validation = found.scored != "test"
    return answer(found.summaries, found.paired, found.reference, on_validation, found.collapses)


def _group(folder: Path, found: Findings, chosen: Chosen) -> Iterator[html.Section]:
    """Methods with the same settings."""
    yield from _tables(found)
    yield from _boxes(folder, found)
    yield from _curves(folder, found, chosen)
    yield from sections_figure(folder, found, chosen)
    yield from worst_pictures(found, chosen)


def _variants(folder: Path, found: Findings) -> Iterator[html.Section]:
    """Methods with settings that were varied."""
    yield from _tables(found)
    for name, curve in setting_curves(found).items():
        yield html.heading(f"What {name} does", level=3)
        scores = {"Dice": curve.lines, "Jaccard": curve.jaccard}
        figure = settings_curve(name, scores, curve.unchanged, found.scored)
        yield _curve(folder / f"setting, {name}, {found.file_title}", figure, found.scored)


def _labels(folder: Path, curve: LabelCurve) -> Iterator[html.Section]:
    lines = {
        method: {str(number): dice for number, dice in line.items()}
        for method, line in curve.lines.items()
    }
    yield html.heading(f"{curve.title}: what more labels are worth")
    yield html.table(curve.table)
    figure = settings_curve("labelled cases", {"Dice": lines}, scored=curve.scored)
    yield _curve(folder / f"labels, {file_title(curve.title)}", figure, curve.scored)


def _curve(path: Path, figure: Figure, scored: str) -> html.Section:
    save_figure(figure, path)
    return html.chart(
        png_bytes(figure),
        f"Mean over organs and {scored} cases; bars: standard deviation over seeds.",
    )


def _tables(found: Findings) -> Iterator[html.Section]:
    for table in (found.means, found.differences, found.organs):
        if table:
            yield html.table(table)


def _boxes(folder: Path, found: Findings) -> Iterator[html.Section]:
    scores: dict[str, list[CaseScore]] = {
        name: [score for record in records for score in record.scores]
        for name, records in found.runs.items()
    }
    figure = organ_boxes(scores)
    save_figure(figure, folder / f"boxes, {found.file_title}")
    caption = f"Dice of every {found.scored} case, those of all seeds together."
    yield html.chart(png_bytes(figure), caption)


def _curves(folder: Path, found: Findings, chosen: Chosen) -> Iterator[html.Section]:
    """Mean validation Dice, and that of chosen organs."""
    rows = {name: [record.validation for record in records] for name, records in found.runs.items()}
    known = {organ.organ for seeds in found.summaries.values() for organ in seeds[0].organs}
    asked = [organ for organ in chosen.organs if organ in known]
    organs = asked or hardest_organs(found)
    which = "" if asked else f", those with the lowest {found.scored} Dice over all methods"
    band = "a band of one standard deviation where there are several"
    for kind, figure, caption in (
        (
            "validation",
            method_curves(rows),
            f"Validation during training: mean over seeds, {band}.",
        ),
        (
            "validation of organs",
            method_curves(rows, organs),
            f"The same of {', '.join(organs)}{which}.",
        ),
    ):
        save_figure(figure, folder / f"{kind}, {found.file_title}")
        yield html.chart(png_bytes(figure), caption)


def _cost(found: Findings) -> list[html.Section]:
    table = cost_table(costs(found), cost_reference(found))
    return [html.heading("Cost", level=3), html.table(table)]


def _audit(data: Audit) -> list[html.Section]:
    return [
        html.heading("Data", level=3),
        html.facts(data.facts),
        html.folded("Organs of the scored cases", html.table(data.table)),
    ]


def _settings(records: Sequence[RunRecord]) -> Iterator[html.Section]:
    """What runs share is told once: with thousands of cases a split alone is a long list."""
    alike: dict[str, list[RunRecord]] = {}
    for record in records:
        alike.setdefault(sha256_of_json([record.settings, record.made_with]), []).append(record)
    for members in alike.values():
        first, *others = members
        more = f" and {len(others)} more" if others else ""
        hashes = {record.entry.title: record.hash for record in members}
        told = {"hash of": hashes, **first.made_with, **first.settings}
        yield html.settings(told, f"Settings of {first.entry.title}{more}")
