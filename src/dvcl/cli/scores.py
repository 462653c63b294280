"""Commands that score and compare. Heavy imports wait inside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dvcl.cli.app import Result, app
from dvcl.cli.options import (
    Changes,
    Device,
    Fast,
    LabelValues,
    SlurmOptions,
    SplitSeed,
    TestShare,
    ValidationShare,
    Work,
)

if TYPE_CHECKING:
    from dvcl.evaluation.cases import CaseScore


@app.command()
def evaluate(
    predictions: Annotated[
        Path,
        typer.Argument(help="A run: its test cases, else its validation cases. Or label maps."),
    ],
    reference: Annotated[
        Path | None, typer.Option(help="Folder of reference label maps or masks, for a folder.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="JSON file with organ names.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="CSV file; cases.csv beside the label maps.")
    ] = None,
    tolerance_mm: Annotated[
        float, typer.Option(min=0, help="Of the normalised surface Dice.")
    ] = 2.0,
    label_values: LabelValues = False,
    cases: Annotated[
        str | None, typer.Option(help="Names of references, with commas; all without it.")
    ] = None,
    last: Annotated[
        bool, typer.Option("--last", help="Of a run: also score the last weights.")
    ] = False,
    fast: Fast = False,
    device: Device = "auto",
) -> Result:
    """Score label maps: overlap, distances and volumes per organ and case."""
    from dvcl.commands.console import bars
    from dvcl.commands.evaluate import check_options, names_of_cases, score_folder
    from dvcl.studies.scored import SCORES

    chosen = names_of_cases(cases)
    check_options(predictions, reference, bool(labels or out or label_values or chosen), last)
    if not reference:
        return _evaluate_run(predictions, device, fast, tolerance_mm, last)
    target = out or predictions / SCORES
    with bars() as bar:
        scores = score_folder(
            predictions, reference, labels, target, bar("Scoring"), tolerance_mm, label_values,
            chosen,
        )  # fmt: skip
    return Result(_told_scores(scores, target))


def _evaluate_run(folder: Path, device: str, fast: bool, tolerance_mm: float, last: bool) -> Result:
    from dvcl.commands.console import bars, console
    from dvcl.commands.evaluate import evaluate_last, evaluate_run, told_reliability
    from dvcl.commands.run_doubts import doubts_of_runs
    from dvcl.evaluation.summary import summarise
    from dvcl.report.tables import percent
    from dvcl.splits import scored_part
    from dvcl.studies.device import usable_device
    from dvcl.studies.finding import find_run
    from dvcl.studies.scored import SCORES, warning_of

    run = find_run(folder)
    for doubt in filter(None, (*doubts_of_runs([run]), warning_of(run))):
        console.warn(doubt)
    window = run.recipe.window.fast() if fast else None
    with bars() as bar:
        how: dict[str, Any] = {
            "device": usable_device(device), "window": window, "progress": bar("Scoring"),
            "tolerance_mm": tolerance_mm, "tell": console.warn,
        }  # fmt: skip
        scores = evaluate_run(run, **how)
        finals = evaluate_last(run, scores, **how) if last else []
    part = scored_part((score.case for score in scores), run.split.test)
    facts = _told_scores(scores, run.folder / SCORES, part)
    console.print(told_reliability(run), markup=False)
    if last:
        facts["mean_dice_last"] = summarise(finals).mean_dice
        console.print(f"Mean Dice of the last weights: {percent(facts['mean_dice_last'])}")
    return Result(facts)


def _told_scores(scores: list[CaseScore], file: Path, part: str = "") -> dict[str, Any]:
    """Print a summary, and return the scores as plain values; ``part`` is that of a run's cases."""
    from dataclasses import asdict

    from dvcl.commands.console import console
    from dvcl.evaluation.summary import summarise
    from dvcl.report.tables import summary_table, to_rich

    summary = summarise(scores)
    console.print(to_rich(summary_table(summary, scored=part)))
    console.print(f"Every case: {file}", markup=False)
    return {"file": file, "mean_dice": summary.mean_dice, "cases": [*map(asdict, scores)]}


@app.command()
def compare(
    studies: Annotated[list[Path], typer.Argument(help="Folders that `dvcl prepare` made.")],
    methods: Annotated[
        str | None,
        typer.Option(
            help="Names with commas, or all.", show_default="supervised,supervised_pair,cps,dvcl"
        ),
    ] = None,
    seeds: Annotated[str, typer.Option(help="Numbers with commas.")] = "0,1,2",
    labelled_cases: Annotated[
        str | None, typer.Option(help="Numbers with commas; all without it.", show_default=False)
    ] = None,
    vary: Annotated[
        list[str], typer.Option(help="Settings to try: methods.dvcl.neighbours=5,10,20.")
    ] = [],  # noqa: B006
    twin: Annotated[bool, typer.Option(help="Also train baselines, for what they show.")] = False,
    table: Annotated[
        str | None,
        typer.Option(help="Runs of the paper's table instead: 1 to 8, or fig8a to fig8f."),
    ] = None,
    equal: Annotated[
        Literal["steps", "time"],
        typer.Option(help="What every run gets as much of; time is measured before the first."),
    ] = "steps",
    name: Annotated[str | None, typer.Option(help="Of the comparison; the recipe's name.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Instead of the studies' own.")] = None,
    validation_share: ValidationShare = None,
    test_share: TestShare = None,
    split_seed: SplitSeed = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Runs side by side; 1, with --slurm all of them.")
    ] = None,
    gpus_per_run: Annotated[
        int | None, typer.Option(min=1, help="Processes that train a run together, a GPU each.")
    ] = None,
    slurm: Annotated[bool, typer.Option("--slurm", help="Submit runs to Slurm.")] = False,
    slurm_options: SlurmOptions = [],  # noqa: B006
    recorded: Annotated[
        list[Path], typer.Option(help="Folder with runs.json and scores.csv of finished runs.")
    ] = [],  # noqa: B006
    case: Annotated[str | None, typer.Option(help="Scored case of the figure of sections.")] = None,
    show: Annotated[
        str | None, typer.Option(help="Methods in the pictures, with commas; at most 5.")
    ] = None,
    organs: Annotated[
        str | None, typer.Option(help="Of the validation curves, with commas; the hardest four.")
    ] = None,
    dry: Annotated[
        bool,
        typer.Option(
            "--dry",
            help="Only show what is done and missing; no training but of steps to be timed.",
        ),
    ] = False,
    device: Device = "auto",
    changes: Changes = [],  # noqa: B006
) -> Result:
    """Train and score methods over seeds and settings; say which differences are real."""
    from dvcl.commands.compare import compare_studies
    from dvcl.commands.compare_options import Options, parse_numbers
    from dvcl.commands.compare_outcome import outcome_facts, show_outcome
    from dvcl.comparison.choice import Chosen, names

    options = Options(
        methods=methods, seeds=parse_numbers("--seeds", seeds),
        labelled_cases=parse_numbers("--labelled-cases", labelled_cases),
        vary=vary, twin=twin, equal=equal, table=table, name=name, recipe=recipe,
        changes=tuple(changes), validation_share=validation_share, test_share=test_share,
        split_seed=split_seed, jobs=jobs, gpus_per_run=gpus_per_run,
        slurm=slurm, slurm_options=slurm_options, device=device,
        recorded=recorded, shown=Chosen(case, names(show), names(organs)),
    )  # fmt: skip
    outcome = compare_studies(studies, options, dry=dry)
    show_outcome(outcome)
    return Result(outcome_facts(outcome), 1 if outcome.failed else 0)


@app.command()
def tables(
    folder: Annotated[
        Path, typer.Argument(help="Of a comparison, or any with runs.json and scores.csv.")
    ],
    table: Annotated[
        str, typer.Option(help="1 to 8, fig8a to fig8f, or all that can be made.")
    ] = "all",
    paper: Annotated[bool, typer.Option("--paper", help="The paper's own numbers beside.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Also write Markdown, LaTeX and CSV there.", show_default=False),
    ] = None,
) -> Result:
    """The paper's tables from recorded runs; nothing is trained."""
    from dvcl.commands.console import console
    from dvcl.comparison.tables import tables_of_folder
    from dvcl.report.sections import sections_facts, sections_to_rich

    found = tables_of_folder(folder, table, paper, out)
    for made in found:
        console.print(sections_to_rich(made), "")
    if out:
        console.print(f"Written into {out}", markup=False)
    return Result({"folder": out, "tables": [*map(sections_facts, found)]})


@app.command()
def report(work: Work) -> Result:
    """Write one page that compares all evaluated runs of a study."""
    from dvcl.commands.console import console
    from dvcl.commands.report import write_report
    from dvcl.studies.project import open_project

    page = write_report(open_project(work))
    console.print(f"Open {page} in a browser.", markup=False)
    return Result({"page": page})


@app.command()
def inspect(
    runs: Annotated[list[Path], typer.Argument(help="Runs' folders, as `dvcl train` prints them.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder; STUDY/inspections/NAME of the first run.", show_default=False),
    ] = None,
    names: Annotated[
        str, typer.Option(help="Of the runs in the figures, with commas.", show_default=False)
    ] = "",
    cases: Annotated[Literal["test", "validation"], typer.Option(help="Which.")] = "test",
    voxels: Annotated[int, typer.Option(min=10, help="Drawn of every class.")] = 200,
    alpha: Annotated[float, typer.Option(help="Of Eq. 3; larger calls more reliable.")] = 0.5,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of draw and t-SNE.")] = 0,
    device: Device = "auto",
) -> Result:
    """Draw what networks believe: reliable voxels per organ, feature space, class distances."""
    from dvcl.commands.console import bars, console
    from dvcl.commands.inspect import Options, inspect_runs
    from dvcl.studies.device import usable_device

    options = Options(cases, voxels, alpha, seed)
    given = [name.strip() for name in names.split(",")] if names else []
    with bars() as bar:
        page = inspect_runs(
            runs, options, usable_device(device), names=given, out=out, progress=bar("Inspecting")
        )
    console.print(f"Open {page} in a browser; figures and numbers lie beside it.", markup=False)
    return Result({"page": page})
