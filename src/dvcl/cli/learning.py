"""Commands that learn and segment. Heavy imports wait inside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dvcl.cli.app import Result, app
from dvcl.cli.options import (
    AllowOverlap,
    Changes,
    Device,
    Fast,
    KeepLargest,
    Mirror,
    NoKeepLargest,
    SplitSeed,
    TestShare,
    ValidationShare,
    Work,
    kept_parts,
    typed,
)


@app.command()
def methods(
    name: Annotated[
        str | None, typer.Argument(help="Show this one's settings.", show_default=False)
    ] = None,
) -> Result:
    """List all methods, or the settings of one."""
    from dvcl.commands.console import console
    from dvcl.commands.methods import describe_method, method_facts, methods_table

    for part in describe_method(name) if name else [methods_table()]:
        console.print(part)
    return Result(method_facts(name))


@app.command()
def train(
    work: Work,
    method: Annotated[str, typer.Option(help="A name that `dvcl methods` lists.")] = "dvcl",
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Of initialisation, sampling and dropout.")
    ] = 0,
    labelled_cases: Annotated[
        int | None, typer.Option(help="Keep so many labelled, use the rest unlabelled.")
    ] = None,
    validation_share: ValidationShare = None,
    test_share: TestShare = None,
    split_seed: SplitSeed = None,
    stratify: Annotated[
        bool | None, typer.Option(help="Each organ in each part, where possible; the recipe's.")
    ] = None,
    folds: Annotated[
        int | None, typer.Option(help="Cross-validation with so many test parts.")
    ] = None,
    fold: Annotated[int | None, typer.Option(help="Which of the folds to test, from 0 on.")] = None,
    split: Annotated[Path | None, typer.Option(help="A split.json, instead of the above.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Instead of the one of `prepare`.")] = None,
    name: Annotated[str | None, typer.Option(help="Folder under runs/; the recipe's name.")] = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="A run to begin with: its weights, and heads of its organs."),
    ] = None,
    edition: Annotated[
        int | None,
        typer.Option(min=1, help="Of a study that has grown; the newest.", show_default=False),
    ] = None,
    device: Device = "auto",
    tensorboard: Annotated[bool, typer.Option(help="Also log to runs/.../tensorboard.")] = False,
    twin: Annotated[
        bool, typer.Option("--twin", help="Also train baselines: did unlabelled scans help?")
    ] = False,
    allow_overlap: AllowOverlap = False,
    changes: Changes = [],  # noqa: B006
) -> Result:
    """Train one method; the same command continues an interrupted run."""
    from dvcl.commands.console import console
    from dvcl.commands.train import unfinished_before
    from dvcl.commands.twin import train_and_tell
    from dvcl.studies.divide import division_of
    from dvcl.studies.project import open_project
    from dvcl.studies.run import check_method

    check_method(method)
    given = {
        "labelled_cases": labelled_cases, "validation_share": validation_share,
        "test_share": test_share, "seed": split_seed, "stratify": stratify,
        "folds": folds, "fold": fold,
    }  # fmt: skip
    project = open_project(work, edition)
    settings, division = division_of(project, project.load_recipe(recipe, changes), split, given)
    for line in (division.note, *unfinished_before(project, settings, method, seed)):
        if line:
            console.note(line)
    run = train_and_tell(
        project, settings, method, division, twin=twin,
        seed=seed, name=name, source=source, device=device, tensorboard=tensorboard,
        allow_overlap=allow_overlap,
    )  # fmt: skip
    console.note(f"Next, to score it: {typed('dvcl', 'evaluate', run.folder)}")
    console.note(
        f"To segment scans: {typed('dvcl', 'predict', run.folder, 'SCANS', out=Path('MASKS'))}"
    )
    return Result({"run": run.folder, "method": method, "steps": run.steps_done()})


@app.command()
def predict(
    run: Annotated[
        Path, typer.Argument(help="A run: its folder, WORK, or WORK and a part of its path.")
    ],
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="[RUN]... SCANS...",
            help="Scans, or folders of scans. Runs' folders among them: the mean of all predicts.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the label maps.")],
    fast: Fast = False,
    mirror: Mirror = False,
    uncertainty: Annotated[
        bool, typer.Option("--uncertainty", help="Also a map of it beside each mask, 0 to 1.")
    ] = False,
    members: Annotated[
        bool, typer.Option("--members", help="Also each run's (or network's) own mask.")
    ] = False,
    pictures: Annotated[
        bool, typer.Option(help="Also a picture of every case, and a page to scroll through some.")
    ] = True,
    form: Annotated[
        str,
        typer.Option("--format", help="nifti, own (as scans), seg.nrrd, dicom-seg or rtstruct."),
    ] = "nifti",
    keep_largest: KeepLargest = [],  # noqa: B006
    no_keep_largest: NoKeepLargest = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Go on where an earlier call stopped.")
    ] = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="Exit code 0 in spite of doubts, which are told anyway.")
    ] = False,
    device: Device = "auto",
) -> Result:
    """Segment new scans, on their own voxels; 3 if a scan or its mask is doubtful."""
    from dvcl.commands.console import bars, console
    from dvcl.commands.predict import predict_files
    from dvcl.commands.run_doubts import doubts_of_runs
    from dvcl.commands.targets import choose_targets, tell_apart
    from dvcl.studies.device import usable_device
    from dvcl.studies.members import open_members

    more, scans = tell_apart(images)
    opened = open_members([run, *more], fast=fast, mirror=mirror)
    for doubt in doubts_of_runs(opened.runs):
        console.warn(doubt)
    with bars() as bar:
        done = predict_files(
            opened, choose_targets(scans, out, form),
            device=usable_device(device), maps=uncertainty, apart=members, pictures=pictures,
            tables=True, keep_largest=kept_parts(keep_largest, no_keep_largest),
            skip_existing=skip_existing, progress=bar("Predicting"),
            tell=console.warn,
        )  # fmt: skip
    doubtful = sum(bool(made.doubts) for made in done)
    console.print(
        f"Label maps written: {sum(made.is_new for made in done)}, in {out}", markup=False
    )
    if pictures and (page := out / "index.html").exists():
        console.print(f"Look at them in a browser: {page}", markup=False)
    if doubtful:
        console.print(
            f"Doubts about {doubtful} of {len(done)}: see *.doubts.json beside them.", markup=False
        )
    masks = [made.to_json() for made in done]
    return Result({"folder": out, "masks": masks}, 3 if doubtful and not trust else 0)


@app.command()
def calibrate(
    runs: Annotated[
        list[Path],
        typer.Argument(help="A run, or all that are to predict together: seeds, or all --folds."),
    ],
    level: Annotated[float, typer.Option(help="With which limits are to hold.")] = 0.9,
    cases: Annotated[
        Literal["test", "validation"],
        typer.Option(help="Held-out cases to learn from; validation has chosen the weights."),
    ] = "test",
    fast: Fast = False,
    mirror: Mirror = False,
    keep_largest: KeepLargest = [],  # noqa: B006
    no_keep_largest: NoKeepLargest = False,
    device: Device = "auto",
) -> Result:
    """Learn from held-out cases how far off masks are; `dvcl predict` then says it of each."""
    from dataclasses import asdict

    from dvcl.commands.calibrate import calibrate, calibration_table
    from dvcl.commands.console import bars, console
    from dvcl.commands.run_doubts import doubts_of_runs
    from dvcl.report.tables import to_rich
    from dvcl.studies.device import usable_device
    from dvcl.studies.members import open_members

    members = open_members(runs, fast=fast, mirror=mirror)
    for doubt in doubts_of_runs(members.runs):
        console.warn(doubt)
    with bars() as bar:
        path, made = calibrate(
            members, level=level, held_out=cases, device=usable_device(device),
            keep_largest=kept_parts(keep_largest, no_keep_largest),
            progress=bar("Calibrating"), tell=console.warn,
        )  # fmt: skip
    console.print(to_rich(calibration_table(made)))
    console.print(f"Every case: {path}", markup=False)
    return Result({"file": path, **asdict(made)})
