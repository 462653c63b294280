"""The whole way on made-up patients: from nothing to a page, in minutes."""

from __future__ import annotations

from pathlib import Path

from dvcl.commands.console import bars, console, training_bar
from dvcl.commands.evaluate import evaluate_run
from dvcl.commands.report import write_report
from dvcl.commands.train import train_run
from dvcl.datasets.phantom import make_phantom
from dvcl.evaluation.summary import Summary, summarise
from dvcl.recipe import load_recipe
from dvcl.report.tables import comparison_table, to_rich
from dvcl.splits import make_split
from dvcl.studies.project import open_project, prepare
from dvcl.studies.run import usable_device

RECIPE = "demo"
METHODS = ("supervised", "dvcl")
# Labelled, unlabelled, validation, test.
CASES = (4, 20, 2, 6)


def run_demo(folder: Path, device: str = "auto", changes: tuple[str, ...] = ()) -> Path:
    """Make phantom patients, train `METHODS` with equal budgets, score them, write the page.

    An interrupted demo continues where it stopped.

    Returns:
        The page.
    """
    recipe, chosen = load_recipe(RECIPE, changes), usable_device(device)
    console.print(
        f"Making {sum(CASES)} phantom patients, {CASES[0]} of them labelled for "
        "training: invented anatomy, so the numbers say nothing about real scans."
    )
    with bars() as bar:
        dataset = make_phantom(folder / "scans", *CASES, progress=bar("Phantom"))
    with bars() as bar:
        prepare(
            folder / "work",
            dataset,
            RECIPE,
            changes=changes,
            checked=bar("Checking"),
            prepared=bar("Preparing"),
        )
    project = open_project(folder / "work")
    split = make_split(dataset)
    summaries: dict[str, Summary] = {}
    for method in METHODS:
        with training_bar(f"Training {method}", recipe.training.iterations) as observe:
            run = train_run(project, recipe, method, split, device=device, observe=observe)
        with bars() as bar:
            scores = evaluate_run(run, device=chosen, progress=bar(f"Testing {method}"))
        summaries[method] = summarise(scores)
    console.print(to_rich(comparison_table(summaries)))
    page = write_report(project, "Phantom abdomen: supervised and DVCL with equal budgets")
    console.print(f"Open [bold]{page}[/bold] in a browser.")
    return page
