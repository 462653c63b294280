"""Commands that look through unlabelled scans. Heavy imports wait inside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dvcl.cli.app import Result, app
from dvcl.cli.options import Changes, Device, Fast, Mirror, Work, typed
from dvcl.errors import counted

Runs = Annotated[
    list[Path], typer.Argument(help="A run, or several whose mean predicts (seeds, folds).")
]
Pile = Annotated[list[Path], typer.Option(help="Folder of scans without labels; may be repeated.")]
Dice = Annotated[float, typer.Option(min=0, max=1, help="Mean Dice of a mask that is good enough.")]
Out = Annotated[
    Path | None,
    typer.Option(help="Folder; STUDY/unlabelled of the first run.", show_default=False),
]


@app.command("next")
def next_scans(
    runs: Runs,
    unlabelled: Pile,
    count: Annotated[int, typer.Option("-n", min=1, help="How many to choose.")] = 10,
    out: Out = None,
    fast: Fast = False,
    mirror: Mirror = False,
    device: Device = "auto",
) -> Result:
    """Choose the scans to label next, and lay them out with their masks to be corrected."""
    from dvcl.commands.console import bars, console
    from dvcl.commands.next_scans import choose_next, next_record, next_table
    from dvcl.commands.opinions import default_folder
    from dvcl.commands.run_doubts import doubts_of_runs
    from dvcl.report.tables import to_rich
    from dvcl.studies.device import usable_device
    from dvcl.studies.members import open_members
    from dvcl.studies.place import study_around

    members = open_members(runs, fast=fast, mirror=mirror)
    for doubt in doubts_of_runs(members.runs):
        console.warn(doubt)
    with bars() as bar:
        ranked, written = choose_next(
            members, unlabelled, count, out or default_folder(members), usable_device(device),
            bar("Looking"), console.warn,
        )  # fmt: skip
    console.print(to_rich(next_table(ranked, count)))
    for rank, each in enumerate(ranked[:count], start=1):
        console.print(f"{rank}. {each.opinion.name}: {each.reason}.", markup=False)
    ready = written[-1]
    console.print(f"Written: {', '.join(map(str, written))}", markup=False)
    study = study_around(members.first.folder) or "WORK"
    console.note(f"Next: correct the masks in {ready / 'labels'}")
    console.note(f"Then: {typed('dvcl', 'prepare', study, add=ready)}")
    return Result({"to_correct": ready, **next_record(members, ranked, count)})


@app.command()
def sheet(
    runs: Runs,
    unlabelled: Pile,
    dice: Dice = 0.8,
    export: Annotated[
        Path | None,
        typer.Option(help="New folder for scans with accepted masks.", show_default=False),
    ] = None,
    form: Annotated[
        Literal["plain", "nnunet"], typer.Option(help="Of --export: folders, or nnU-Net's raw.")
    ] = "plain",
    out: Out = None,
    fast: Fast = False,
    mirror: Mirror = False,
    device: Device = "auto",
) -> Result:
    """Judge the masks of unlabelled scans: accept, look or reject; one page and a table."""
    from dvcl.commands.console import bars, console
    from dvcl.commands.opinions import default_folder
    from dvcl.commands.pair_folder import require_new
    from dvcl.commands.pseudo_labels import IN_USE, export_accepted
    from dvcl.commands.run_doubts import doubts_of_runs
    from dvcl.commands.sheet import PAGE, TABLE, make_sheet
    from dvcl.commands.sheet_page import write_sheet_page
    from dvcl.studies.device import usable_device
    from dvcl.studies.members import open_members

    if export:
        require_new(export, IN_USE)
    members = open_members(runs, fast=fast, mirror=mirror)
    for doubt in doubts_of_runs(members.runs):
        console.warn(doubt)
    folder = out or default_folder(members)
    with bars() as bar:
        made = make_sheet(
            members, unlabelled, dice, folder, usable_device(device), bar("Looking"),
            console.warn,
        )  # fmt: skip
    write_sheet_page(folder / PAGE, made)
    console.print(
        f"{made.about}\nEvery scan: {folder / TABLE}; open {folder / PAGE} in a browser.",
        markup=False,
    )
    if export:
        count = export_accepted(made, export, form)
        console.print(f"Pseudo-labels of {counted(count, 'scan')}: {export}", markup=False)
    return Result({"table": folder / TABLE, "page": folder / PAGE, **made.to_json()})


@app.command()
def selftrain(
    work: Work,
    method: Annotated[str, typer.Option(help="A name that `dvcl methods` lists.")] = "dvcl",
    rounds: Annotated[
        int, typer.Option(min=1, help="How often masks are judged and a run is trained anew.")
    ] = 1,
    dice: Dice = 0.8,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="As for `dvcl train`.")] = 0,
    name: Annotated[str | None, typer.Option(help="Folder under runs/; the recipe's name.")] = None,
    device: Device = "auto",
    changes: Changes = [],  # noqa: B006
) -> Result:
    """Train, take accepted masks of the study's unlabelled scans as labels, train anew."""
    from dvcl.commands.console import console
    from dvcl.commands.self_training import self_train
    from dvcl.studies.divide import divide
    from dvcl.studies.project import open_project
    from dvcl.studies.run import check_method

    check_method(method)
    project = open_project(work)
    recipe = project.load_recipe(None, changes)
    division = divide(project, recipe)
    if division.note:
        console.note(division.note)
    done = self_train(
        project, recipe, method, division,
        rounds=rounds, wanted=dice, changes=changes, seed=seed, name=name, device=device,
    )  # fmt: skip
    for run in done.runs:
        told = f", {len(run.pseudo_labelled)} of them pseudo-labels" if run.pseudo_labelled else ""
        console.print(
            f"Run: {run.folder}, with {counted(len(run.split.labelled), 'label')}{told}",
            markup=False,
        )
    if done.ended:
        console.print(done.ended, markup=False)
    first, last = done.runs[0].folder, done.runs[-1].folder
    if last != first:
        console.note(f"Next, did it help? {typed('dvcl', 'evaluate', last)}")
        console.note(f"And without it: {typed('dvcl', 'evaluate', first)}")
    return Result(
        {
            "runs": [
                {"run": run.folder, "pseudo_labelled": [*run.pseudo_labelled]} for run in done.runs
            ],
            "ended": done.ended,
        }
    )
