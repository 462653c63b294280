"""One page per study: every scored run side by side."""

from __future__ import annotations

from pathlib import Path

from dvcl.commands.evaluate import SCORES, prediction_of, test_cases
from dvcl.commands.project import Project
from dvcl.commands.run import Run, open_run
from dvcl.errors import InputError
from dvcl.evaluation.cases import read_scores
from dvcl.evaluation.summary import Summary, summarise
from dvcl.files import read_json
from dvcl.report import html
from dvcl.report.curves import training_curves, validation_curves
from dvcl.report.figures import png_bytes
from dvcl.report.overlays import overlay_sheet
from dvcl.report.tables import comparison_table
from dvcl.training.journal import read_journal
from dvcl.volume import read_label, read_volume


def write_report(project: Project, title: str = "") -> Path:
    """Write ``report/index.html``: table, curves, best and worst case, settings.

    Raises:
        InputError: When no run has been evaluated.
    """
    runs = {}
    for folder in project.runs():
        if (folder / SCORES).exists():
            run = open_run(folder)
            runs[_name(run)] = run
    if not runs:
        raise InputError(
            f"{project.folder}: no evaluated run. Run `dvcl evaluate RUN` for at least one."
        )
    summaries = {name: summarise(read_scores(run.folder / SCORES)) for name, run in runs.items()}
    journals = {name: read_journal(run.folder / "journal.jsonl") for name, run in runs.items()}
    sections = [
        html.heading("Dice per organ"),
        html.table(comparison_table(summaries)),
        html.text(_sentence(summaries)),
        html.heading("Validation during training"),
        html.picture(
            png_bytes(validation_curves(journals)),
            "Mean Dice of the validation cases on the prepared grid.",
        ),
        html.heading("Cases"),
        *_cases(project, runs, summaries),
        html.heading("Training"),
    ]
    for name, rows in journals.items():
        sections.append(
            html.picture(png_bytes(training_curves(rows, name)), f"Terms and Dice of {name}.")
        )
    sections.append(html.heading("Settings"))
    for name, run in runs.items():
        record = read_json(run.folder / "run.json")
        seconds = sum(row["seconds"] for row in journals[name])
        facts = {"training time in seconds": round(seconds, 1), **record}
        sections.append(html.settings(facts, f"Settings of {name}"))
    path = project.folder / "report" / "index.html"
    html.write_page(
        path, title or f"Segmentation of {project.dataset.name}", sections, _subtitle(project, runs)
    )
    return path


def _name(run: Run) -> str:
    group = run.folder.parents[1].name
    parts = [run.method, *([group] if group != run.recipe.name else [])]
    return ", ".join([*parts, *([f"seed {run.seed}"] if run.seed else [])])


def _subtitle(project: Project, runs: dict[str, Run]) -> str:
    split = next(iter(runs.values())).split
    return (
        f"{len(project.dataset.labels.organs)} organs, {project.dataset.modality}; "
        f"{len(split.labelled)} labelled and {len(split.unlabelled)} unlabelled cases, "
        f"{len(split.validation)} for validation, {len(split.test)} for the test"
    )


def _sentence(summaries: dict[str, Summary]) -> str:
    """The result in words, without a claim that one run of few cases cannot bear."""
    means = {name: summary.mean_dice for name, summary in summaries.items()}
    best = max(means, key=lambda name: means[name])
    listed = ", ".join(f"{name} {100 * value:.1f}" for name, value in means.items())
    return (
        f"Mean Dice in percent: {listed}. Highest: {best}. One run per method: whether a "
        "difference holds needs several seeds and more cases."
    )


def _cases(
    project: Project, runs: dict[str, Run], summaries: dict[str, Summary]
) -> list[html.Section]:
    """Best and worst case of the last method, as every method sees them."""
    last = list(runs)[-1]
    ranking = summaries[last].ranking
    sections = []
    for kind, case_id in {"Worst": ranking[-1], "Best": ranking[0]}.items():
        case = next(case for case in test_cases(runs[last]) if case.id == case_id)
        predictions = {
            name: read_label(prediction_of(run, case))
            for name, run in runs.items()
            if prediction_of(run, case).exists()
        }
        assert case.label is not None
        sheet = overlay_sheet(
            read_volume(case.image), read_label(case.label), predictions,
            project.dataset.labels, project.dataset.modality,
        )  # fmt: skip
        dice = 100 * summaries[last].case_dice[case_id]
        caption = f"{kind} case of {last}: {case_id}, mean Dice {dice:.1f} %."
        sections.append(html.picture(png_bytes(sheet), caption))
    return sections
