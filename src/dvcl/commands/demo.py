"""The whole way on made-up patients: from nothing to a page, in minutes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dvcl.commands.console import bars, console
from dvcl.commands.demo_words import explain, labelled_voxels, outcome
from dvcl.commands.evaluate import evaluate_run
from dvcl.commands.report import write_report
from dvcl.commands.twin import train_and_tell
from dvcl.datasets.phantom import make_phantom
from dvcl.evaluation.summary import Summary, summarise
from dvcl.recipe import Recipe, load_recipe
from dvcl.report.tables import comparison_table, to_rich
from dvcl.splits import make_split
from dvcl.studies.device import usable_device
from dvcl.studies.project import open_project, prepare
from dvcl.studies.run import Run

RECIPE = "demo"

# Steps of each method as a share of the recipe's: what makes both train for as long. A step of DVCL
# is one of two networks, and from `training.unlabelled_from` on of twice the patches too.
SHARES: Mapping[str, float] = {"supervised": 1.0, "dvcl": 0.35}

# Labelled, unlabelled, validation, test.
CASES = (4, 20, 2, 6)


def run_demo(folder: Path, device: str = "auto", changes: tuple[str, ...] = ()) -> Path:
    """Make phantom patients, train the methods for as long as each other, write the page.

    An interrupted demo continues where it stopped.

    Returns:
        The page.
    """
    chosen = usable_device(device)
    console.note(
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
    runs: dict[str, Run] = {}
    summaries: dict[str, Summary] = {}
    for method in SHARES:
        recipe = recipe_of(method, changes)
        runs[method] = train_and_tell(project, recipe, method, split, twin=False, device=device)
        with bars() as bar:
            scores = evaluate_run(runs[method], device=chosen, progress=bar(f"Testing {method}"))
        summaries[method] = summarise(scores)
    console.print(to_rich(comparison_table(summaries)))
    console.print(outcome(runs, summaries))
    about = explain(runs, summaries, labelled_voxels(runs["supervised"]))
    page = write_report(project, "Phantom abdomen: supervised and DVCL in as much time", about)
    console.print(f"Open [bold]{page}[/bold] in a browser.")
    return page


def recipe_of(method: str, changes: tuple[str, ...] = ()) -> Recipe:
    """The recipe of one method, whose steps fill as much time as the others'."""
    steps = load_recipe(RECIPE, changes).training.iterations
    share = max(1, round(SHARES[method] * steps))
    return load_recipe(RECIPE, (*changes, f"training.iterations={share}"))
