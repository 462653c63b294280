"""One page per study: every scored run side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dvcl.commands.report_cases import case_sections
from dvcl.comparison.findings import baseline, paired
from dvcl.errors import InputError, counted
from dvcl.evaluation.collapse import collapsed
from dvcl.evaluation.score_file import read_scores
from dvcl.evaluation.summary import Summary, summarise
from dvcl.files import read_json
from dvcl.methods import METHODS
from dvcl.report import html
from dvcl.report.answer import answer
from dvcl.report.cases import case_dots, case_table
from dvcl.report.curves import training_curves, validation_curves
from dvcl.report.differences import difference_table
from dvcl.report.figures import png_bytes
from dvcl.report.reliability_diagram import calibration_table, reliability_diagram
from dvcl.report.tables import TextTable, comparison_table, percent
from dvcl.splits import scored_part
from dvcl.studies.project import Project
from dvcl.studies.reliability import read_reliability
from dvcl.studies.run import Run, open_run
from dvcl.studies.scored import SCORES, has_scores, is_scored
from dvcl.training.checkpoint import weights_hash
from dvcl.training.journal import Row, read_journal


def write_report(project: Project, title: str = "", about: Sequence[html.Section] = ()) -> Path:
    """Write ``report/index.html``: the answer, every case, pictures, training, settings.

    Args:
        project: Of which every scored run is shown.
        title: Of the page.
        about: Sections that stand first, for readers who are new to all this.

    Raises:
        InputError: When no run has been evaluated.
    """
    runs = _scored_runs(project)
    scores = {name: read_scores(run.folder / SCORES) for name, run in runs.items()}
    summaries = {name: summarise(rows) for name, rows in scores.items()}
    journals = {name: read_journal(run.folder / "journal.jsonl") for name, run in runs.items()}
    sections = [
        *about,
        html.heading("Result"),
        html.text(_result(runs, summaries)),
        html.table(comparison_table(summaries, sd=True, scored=_scored(runs, summaries))),
        *_differences(runs, summaries),
        html.heading("Every case"),
        html.chart(
            png_bytes(case_dots(scores)),
            "A dot is one case, a bar the mean over the cases that have the organ. Dots at 0 are "
            "organs of which no voxel is right.",
        ),
        *(html.folded(f"Cases of {name}", html.table(case_table(scores[name]))) for name in runs),
        *_reliability(runs),
        html.heading("Worst, typical and best case"),
        *case_sections(runs, summaries),
        html.heading("Training"),
        html.table(runs_table(runs, journals)),
        html.chart(
            png_bytes(validation_curves(journals)),
            "Mean Dice of the validation cases, measured on the prepared grid.",
        ),
        *(
            html.chart(png_bytes(training_curves(rows, name)), f"Terms and Dice of {name}.")
            for name, rows in journals.items()
        ),
        html.heading("Settings and versions"),
        *(html.settings(_record(run), f"Settings of {name}") for name, run in runs.items()),
        html.text("Research software: these label maps are not for diagnosis or treatment."),
    ]
    path = project.folder / "report" / "index.html"
    html.write_page(
        path, title or f"Segmentation of {project.dataset.name}", sections, _subtitle(project, runs)
    )
    return path


def _scored_runs(project: Project) -> dict[str, Run]:
    """Evaluated runs by the name they have on the page, baselines first."""
    runs = [open_run(folder) for folder in project.runs() if has_scores(folder)]
    if not runs:
        raise InputError(
            f"{project.folder}: no evaluated run. Run `dvcl evaluate RUN` for at least one."
        )
    order = list(METHODS)
    runs.sort(
        key=lambda run: (_group(run) != run.recipe.name, _group(run), order.index(run.method))
    )
    variants = [_variant(run) for run in runs]
    return {
        f"{variant}{_seed(run, variants.count(variant) > 1)}{_reserve(run)}": run
        for run, variant in zip(runs, variants, strict=True)
    }


def _seed(run: Run, is_one_of_several: bool) -> str:
    return f", seed {run.seed}" if run.seed or is_one_of_several else ""


def _reserve(run: Run) -> str:
    """What is to be said of runs that others cannot be held against as they are."""
    reserve = "" if run.start is None else f", begun with {Path(run.start['run']).parent.name}"
    reserve += f", extended at step {run.extended_at[-1]}" if run.extended_at else ""
    if run.pseudo_labelled:
        reserve += f", {len(run.pseudo_labelled)} of {len(run.split.labelled)} labels predicted"
    if is_scored(run):
        return reserve
    return f"{reserve}, {'unfinished' if run.unfinished() else 'scores of earlier weights'}"


def _variant(run: Run) -> str:
    """What the seeds of a method have in common."""
    return run.method if _group(run) == run.recipe.name else f"{run.method}, {_group(run)}"


def _group(run: Run) -> str:
    return run.folder.parents[1].name


def _subtitle(project: Project, runs: Mapping[str, Run]) -> str:
    (first, *others) = (run.split for run in runs.values())
    about = f"{counted(len(project.dataset.labels.organs), 'organ')}, {project.dataset.modality}"
    editions = sorted({run.edition for run in runs.values()})
    if len(editions) > 1:
        return f"{about}; the runs have seen editions {', '.join(map(str, editions))} of the data"
    if any(other.parts() != first.parts() for other in others):
        return f"{about}; the runs differ in their cases"
    return (
        f"{about}; {len(first.labelled)} labelled and {len(first.unlabelled)} unlabelled cases, "
        f"{len(first.validation)} for validation, {len(first.test)} for the test"
    )


def _by_variant(
    runs: Mapping[str, Run], summaries: Mapping[str, Summary]
) -> dict[str, dict[int, Summary]]:
    variants: dict[str, dict[int, Summary]] = {}
    for name, run in runs.items():
        variants.setdefault(_variant(run), {})[run.seed] = summaries[name]
    return variants


def _result(runs: Mapping[str, Run], summaries: Mapping[str, Summary]) -> str:
    variants = _by_variant(runs, summaries)
    on_validation = _scored(runs, summaries) != "test"
    rows = {name: list(seeds.values()) for name, seeds in variants.items()}
    return answer(rows, paired(variants), baseline(variants), on_validation, collapsed(variants))


def _scored(runs: Mapping[str, Run], summaries: Mapping[str, Summary]) -> str:
    """Of which cases the scores are: "test", "validation" or "test or validation"."""
    parts = {scored_part(summaries[name].case_dice, run.split.test) for name, run in runs.items()}
    return " or ".join(sorted(parts))


def _differences(runs: Mapping[str, Run], summaries: Mapping[str, Summary]) -> list[html.Section]:
    """Whether the differences are real, against supervised training or the first variant."""
    variants = _by_variant(runs, summaries)
    found = paired(variants)
    if not found:
        return []
    return [
        html.heading("Is the difference real?"),
        html.table(difference_table(found, baseline(variants), collapsed(variants))),
    ]


def _reliability(runs: Mapping[str, Run]) -> list[html.Section]:
    """Whether probabilities are as often right as they say, of the runs that counted them."""
    counted = {
        name: read_reliability(run, weights_hash(run.checkpoint))
        for name, run in runs.items()
        if run.checkpoint.exists()
    }
    counts = {name: each for name, each in counted.items() if each is not None}
    if not counts:
        return []
    organs = runs[list(counts)[-1]].labels.organs
    others = [name for name in counts if runs[name].labels.organs != organs]
    counts = {name: each for name, each in counts.items() if name not in others}
    left_out = f" Not here, as it has other organs: {', '.join(others)}." if others else ""
    return [
        html.heading("Are probabilities right?"),
        html.chart(
            png_bytes(reliability_diagram(organs, counts)),
            "Of the voxels that get an organ with a probability, how many are of it. Below the "
            "diagonal networks are too sure. Points of fewer than 100 voxels are left out."
            f"{left_out}",
        ),
        html.table(calibration_table(organs, counts)),
    ]


def runs_table(runs: Mapping[str, Run], journals: Mapping[str, Sequence[Row]]) -> TextTable:
    """What every run was given, and its best validation."""
    rows = []
    for name, run in runs.items():
        seconds = sum(row["seconds"] for row in journals[name])
        validations = [
            (row["mean_dice"], row["iteration"])
            for row in journals[name]
            if row["kind"] == "validation" and row["mean_dice"] is not None
        ]
        dice, step = max(validations, default=(float("nan"), 0))
        learns_unlabelled = METHODS[run.method].needs_unlabelled
        unlabelled = run.split.unlabelled if learns_unlabelled else ()
        parts = (run.split.labelled, unlabelled, run.split.validation)
        rows.append(
            (
                name,
                *(str(len(cases)) for cases in parts),
                str(run.recipe.training.iterations),
                f"{seconds / 60:.1f}",
                percent(dice),
                str(step) if validations else "",
            )
        )
    return TextTable(
        (
            "Run",
            "Labelled",
            "Unlabelled",
            "Validation",
            "Steps",
            "Minutes",
            "Best Dice %",
            "at step",
        ),
        tuple(rows),
        "Cases that a run uses, training time with validation, and the best validation, whose "
        "weights predict.",
    )


def _record(run: Run) -> dict[str, Any]:
    """What decides a run's result; without the store's folder, as a page may be sent to others."""
    record = read_json(run.folder / "run.json")
    kept = {name: record[name] for name in ("note", "hash") if record[name]}
    return {**record["made_with"], **kept, **record["settings"]}
