"""The command line: parse, then call one function each. Heavy imports wait inside commands."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="dvcl",
    help="Train 3-D multi-organ segmentation from few labelled and many unlabelled scans.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Work = Annotated[Path, typer.Argument(help="Folder of the study; `dvcl prepare` makes it.")]
Changes = Annotated[
    list[str], typer.Option("--set", help="Change a setting: training.iterations=500.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
Fast = Annotated[
    bool, typer.Option("--fast", help="Little window overlap, air skipped: faster, less exact.")
]

# Which scans: plain folders, or one folder in a known layout.
Labelled = Annotated[
    Path | None, typer.Option(help="Folder with images/ and labels/.", show_default=False)
]
Unlabelled = Annotated[
    list[Path], typer.Option(help="Folder of images without labels; may be repeated.")
]
Validation = Annotated[
    Path | None, typer.Option(help="As --labelled; chooses the best weights.", show_default=False)
]
Test = Annotated[
    Path | None, typer.Option(help="As --labelled; only ever scored.", show_default=False)
]
Labels = Annotated[
    Path | None,
    typer.Option(help='JSON file with organ names, {"1": "liver", ...}.', show_default=False),
]
Data = Annotated[
    Path | None, typer.Option(help="One folder instead, in a known layout.", show_default=False)
]
Layout = Annotated[
    str, typer.Option(help="Of --data: nnunet (Decathlon too), flare22, amos22, btcv, mmwhs.")
]
Modality = Annotated[
    str | None,
    typer.Option(help="CT or MR; CT for plain folders, else as found.", show_default=False),
]

Partial = Annotated[
    bool, typer.Option("--partial", help="Take cases that lack masks; their loss ignores these.")
]
Overlaps = Annotated[
    bool, typer.Option("--overlaps", help="Where masks overlap, the later organ wins.")
]
AllowOverlap = Annotated[
    bool, typer.Option("--allow-overlap", help="Even if one scan is in two parts.")
]


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Where to work.")] = Path("demo"),
    device: Device = "auto",
    changes: Changes = [],  # noqa: B006
) -> None:
    """Run everything on made-up patients: make, prepare, train, test, report."""
    from dvcl.commands.demo import run_demo

    run_demo(out, device, tuple(changes))


@app.command()
def phantom(
    out: Annotated[Path, typer.Argument(help="Folder for the scans.")],
    labelled: int = 4,
    unlabelled: int = 20,
    validation: int = 2,
    test: int = 6,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Write made-up abdominal CT scans with 13 organs as plain folders."""
    from dvcl.commands.console import bars
    from dvcl.datasets.phantom import make_phantom

    with bars() as bar:
        make_phantom(
            out, labelled, unlabelled, validation, test, seed=seed, progress=bar("Phantom")
        )


@app.command()
def check(
    labelled: Labelled = None,
    unlabelled: Unlabelled = [],  # noqa: B006
    validation: Validation = None,
    test: Test = None,
    labels: Labels = None,
    data: Data = None,
    layout: Layout = "nnunet",
    modality: Modality = None,
    partial: Partial = False,
    overlaps: Overlaps = False,
    recipe: Annotated[
        str | None, typer.Option(help="For the estimate; small-ct or small-mr by default.")
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="Also write it all for programs; - for standard output."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    allow_overlap: AllowOverlap = False,
    fix: Annotated[
        Path | None, typer.Option(help="New folder for corrected copies.", show_default=False)
    ] = None,
    fill_nan: Annotated[
        bool, typer.Option("--fill-nan", help="With --fix: NaN becomes the least value.")
    ] = False,
    fix_within_mm: Annotated[
        float, typer.Option(min=0, help="With --fix: labels so near take the image's grid.")
    ] = 0.5,
    changes: Changes = [],  # noqa: B006
) -> None:
    """Look for everything wrong with scans, before any work; 1 if there are errors."""
    from functools import partial as bound

    from dvcl.commands.check import check_scans
    from dvcl.commands.check_tables import quiet_bars, tell
    from dvcl.commands.fix import fix_scans
    from dvcl.commands.sources import find_dataset
    from dvcl.datasets.checks.repair import RepairOptions

    find = bound(
        find_dataset, labelled, unlabelled, validation, test, labels,
        data=data, layout=layout, modality=modality,  # type: ignore[arg-type]
        partial=partial, overlaps=overlaps,
    )  # fmt: skip
    with quiet_bars(json_file) as bar:
        checked = check_scans(
            find, recipe, changes, allow_overlap=allow_overlap,
            checked=bar("Checking"), compared=bar("Comparing"),
        )  # fmt: skip
    tell(checked, json_file)
    if fix:
        with quiet_bars(json_file) as bar:
            fixed = fix_scans(checked, fix, RepairOptions(fill_nan, fix_within_mm), bar("Writing"))
        tell(fixed, json_file)
    raise typer.Exit(checked.exit_code(strict))


@app.command()
def plan(
    labelled: Labelled = None,
    unlabelled: Unlabelled = [],  # noqa: B006
    validation: Validation = None,
    test: Test = None,
    labels: Labels = None,
    data: Data = None,
    layout: Layout = "nnunet",
    modality: Modality = None,
    partial: Partial = False,
    overlaps: Overlaps = False,
    out: Annotated[Path, typer.Option(help="New recipe file.")] = Path("plan.toml"),
    method: Annotated[str, typer.Option(help="Whose training step is measured.")] = "dvcl",
    minutes: Annotated[
        float | None, typer.Option(help="For one training; 20 on a CPU, 600 on a GPU.")
    ] = None,
    memory: Annotated[
        float | None, typer.Option(help="GiB that a step may take; all that is free.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Look at scans and machine, and propose a recipe with reasons."""
    from dvcl.commands.console import bars, console
    from dvcl.commands.plan import fingerprint_path, make_plan, plan_table, warnings
    from dvcl.commands.run import usable_device
    from dvcl.commands.sources import find_dataset

    dataset = find_dataset(
        labelled, unlabelled, validation, test, labels,
        data=data, layout=layout, modality=modality,  # type: ignore[arg-type]
        partial=partial, overlaps=overlaps,
    )  # fmt: skip
    with bars() as bar:
        made = make_plan(
            dataset, out, device=usable_device(device), method=method, minutes=minutes,
            memory_gib=memory, looked=bar("Looking"), measured=bar("Measuring"),
        )  # fmt: skip
    console.print(plan_table(made))
    for warning in warnings(made):
        console.print(f"Note: {warning}", markup=False)
    console.print(
        f"{made.in_words}\nRecipe: {out}; the numbers behind it: {fingerprint_path(out)}\n"
        f"Next: dvcl prepare WORK --recipe {_quoted(out)}, with the same scans",
        markup=False,
    )


@app.command()
def show(
    path: Annotated[
        Path | None,
        typer.Argument(help="Scan, folder of scans, study, store or case of a store."),
    ] = None,
    label: Annotated[
        Path | None, typer.Option(help="Label map of a single scan.", show_default=False)
    ] = None,
    case: Annotated[
        str | None, typer.Option(help="Id of one case: its contact sheet.", show_default=False)
    ] = None,
    labelled: Labelled = None,
    unlabelled: Unlabelled = [],  # noqa: B006
    validation: Validation = None,
    test: Test = None,
    labels: Labels = None,
    data: Data = None,
    layout: Layout = "nnunet",
    modality: Modality = None,
    partial: Partial = False,
    overlaps: Overlaps = False,
    window: Annotated[
        tuple[float, float] | None,
        typer.Option(help="Intensities from black to white; soft tissue for CT."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="PNG file; named after what is shown.", show_default=False)
    ] = None,
) -> None:
    """Draw one scan as a contact sheet, or a whole data set as a montage."""
    from dvcl.commands.console import bars, console
    from dvcl.commands.show import show as show_subject
    from dvcl.commands.show import subject_of_dataset, subject_of_path
    from dvcl.commands.sources import find_dataset
    from dvcl.errors import InputError

    if window and not window[0] < window[1]:
        raise InputError(f"--window {window[0]:g} {window[1]:g}: the lower one goes first.")
    if path:
        if labelled or data:
            raise InputError(f"{path}: give either a path, or --labelled or --data, not both.")
        subject = subject_of_path(
            path, label=label, labels=labels, modality=modality, window=window  # type: ignore[arg-type]
        )  # fmt: skip
    else:
        dataset = find_dataset(
            labelled, unlabelled, validation, test, labels,
            data=data, layout=layout, modality=modality,  # type: ignore[arg-type]
            partial=partial, overlaps=overlaps,
        )  # fmt: skip
        subject = subject_of_dataset(dataset, window)
    if subject.is_alone or case:
        written = show_subject(subject, out, case)
    else:
        with bars() as bar:
            written = show_subject(subject, out, progress=bar("Drawing"))
    console.print("\n".join(map(str, written)), markup=False)


@app.command()
def prepare(
    work: Work,
    labelled: Labelled = None,
    unlabelled: Unlabelled = [],  # noqa: B006
    validation: Validation = None,
    test: Test = None,
    labels: Labels = None,
    data: Data = None,
    layout: Layout = "nnunet",
    modality: Modality = None,
    partial: Partial = False,
    overlaps: Overlaps = False,
    name: Annotated[
        str | None, typer.Option(help="Name of the data set in reports.", show_default=False)
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Recipe or .toml file; small-ct or small-mr by default.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; chosen by default.")
    ] = None,
    changes: Changes = [],  # noqa: B006
) -> None:
    """Check scans and prepare them for training, once."""
    from dvcl.commands.console import bars, console
    from dvcl.commands.project import prepare as prepare_project
    from dvcl.commands.sources import find_dataset

    dataset = find_dataset(
        labelled, unlabelled, validation, test, labels,
        data=data, layout=layout, modality=modality, name=name,  # type: ignore[arg-type]
        partial=partial, overlaps=overlaps,
    )  # fmt: skip
    chosen = recipe or ("small-ct" if dataset.modality == "CT" else "small-mr")
    with bars() as bar:
        store = prepare_project(
            work, dataset, chosen, changes=tuple(changes), workers=workers,
            checked=bar("Checking"), prepared=bar("Preparing"), compared=bar("Comparing"),
            tell=console.print,
        )  # fmt: skip
    console.print(
        f"{len(store.ids)} cases, {len(dataset.labels.organs)} organs, recipe {chosen}: {work}\n"
        f"Next: dvcl train {_quoted(work)} --method dvcl",
        markup=False,
    )


@app.command()
def methods(
    name: Annotated[
        str | None, typer.Argument(help="Show this one's settings.", show_default=False)
    ] = None,
) -> None:
    """List all methods, or the settings of one."""
    from dvcl.commands.console import console
    from dvcl.commands.methods import describe_method, methods_table

    for part in describe_method(name) if name else [methods_table()]:
        console.print(part)


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
    validation_share: Annotated[
        float | None,
        typer.Option(help="Of labelled cases, where none are given for validation; the recipe's."),
    ] = None,
    test_share: Annotated[
        float | None, typer.Option(help="Of labelled cases without a role; the recipe's.")
    ] = None,
    split_seed: Annotated[
        int | None, typer.Option(min=0, help="Of the division into parts; the recipe's.")
    ] = None,
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
    device: Device = "auto",
    tensorboard: Annotated[bool, typer.Option(help="Also log to runs/.../tensorboard.")] = False,
    allow_overlap: AllowOverlap = False,
    changes: Changes = [],  # noqa: B006
) -> None:
    """Train one method; the same command continues an interrupted run."""
    from dvcl.commands.console import console, training_bar
    from dvcl.commands.divide import divide, with_division
    from dvcl.commands.project import open_project
    from dvcl.commands.train import train_run
    from dvcl.errors import InputError
    from dvcl.splits import read_split

    given = {
        "labelled_cases": labelled_cases, "validation_share": validation_share,
        "test_share": test_share, "seed": split_seed, "stratify": stratify,
        "folds": folds, "fold": fold,
    }  # fmt: skip
    if split and any(value is not None for value in given.values()):
        raise InputError(
            "train: --split says what each case is for; leave out the options that divide the "
            "data set (--labelled-cases, shares, --split-seed, --stratify, folds), or --split."
        )
    project = open_project(work)
    settings = with_division(project.load_recipe(recipe, changes), given)
    division = read_split(split) if split else divide(project, settings)
    if division.note:
        console.print(division.note, markup=False)
    with training_bar(f"Training {method}", settings.training.iterations) as observe:
        run = train_run(
            project, settings, method, division,
            seed=seed, name=name, device=device, observe=observe, tensorboard=tensorboard,
            allow_overlap=allow_overlap, tell=console.print,
        )  # fmt: skip
    console.print(
        f"Trained: {run.folder}\nNext: dvcl predict {_quoted(run.folder)} SCANS --out MASKS",
        markup=False,
    )


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="A run's folder, as `dvcl train` prints it.")],
    images: Annotated[list[Path], typer.Argument(help="Scans, or folders of scans.")],
    out: Annotated[Path, typer.Option(help="Folder for the label maps.")],
    fast: Fast = False,
    pictures: Annotated[bool, typer.Option(help="Also write a picture of every case.")] = True,
    own_format: Annotated[
        bool, typer.Option("--own-format", help="NRRD or MHA for scans that are; else NIfTI.")
    ] = False,
    device: Device = "auto",
) -> None:
    """Segment new scans; results lie on the scans' own voxels."""
    from dvcl.commands.console import bars, console
    from dvcl.commands.predict import predict_files
    from dvcl.commands.run import open_run, usable_device

    opened = open_run(run)
    window = opened.recipe.window.fast() if fast else None
    with bars() as bar:
        written = predict_files(
            opened, images, out,
            device=usable_device(device), window=window, pictures=pictures,
            own_format=own_format, progress=bar("Predicting"),
        )  # fmt: skip
    console.print(f"{len(written)} label maps: {out}", markup=False)


@app.command()
def evaluate(
    predictions: Annotated[
        Path, typer.Argument(help="A run (its test cases are scored), or a folder of label maps.")
    ],
    reference: Annotated[
        Path | None, typer.Option(help="Folder of reference label maps, for a folder.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="JSON file with organ names.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="CSV file; cases.csv beside the label maps.")
    ] = None,
    tolerance_mm: Annotated[
        float, typer.Option(min=0, help="Of the normalised surface Dice.")
    ] = 2.0,
    fast: Fast = False,
    device: Device = "auto",
) -> None:
    """Score label maps: overlap, distances and volumes per organ and case."""
    from dvcl.commands.console import bars, console
    from dvcl.commands.evaluate import SCORES, evaluate_run, score_folder
    from dvcl.commands.run import open_run, usable_device
    from dvcl.errors import InputError
    from dvcl.evaluation.summary import summarise
    from dvcl.report.tables import summary_table, to_rich

    if not reference and (labels or out):
        raise InputError(
            "evaluate: --labels and --out go with --reference DIR; a run brings its own names, "
            "and its scores are written into its folder."
        )
    with bars() as bar:
        progress = bar("Scoring")
        if reference:
            target = out or predictions / SCORES
            scores = score_folder(predictions, reference, labels, target, progress, tolerance_mm)
        else:
            run = open_run(predictions)
            target = run.folder / SCORES
            window = run.recipe.window.fast() if fast else None
            scores = evaluate_run(
                run, device=usable_device(device), window=window, progress=progress,
                tolerance_mm=tolerance_mm,
            )  # fmt: skip
    console.print(to_rich(summary_table(summarise(scores))))
    console.print(f"Every case: {target}", markup=False)


@app.command()
def compare(
    studies: Annotated[list[Path], typer.Argument(help="Folders that `dvcl prepare` made.")],
    methods: Annotated[
        str, typer.Option(help="Names with commas, or all.")
    ] = "supervised,cps,dvcl",
    seeds: Annotated[str, typer.Option(help="Numbers with commas.")] = "0",
    labelled_cases: Annotated[
        str | None, typer.Option(help="Numbers with commas; all without it.", show_default=False)
    ] = None,
    vary: Annotated[
        list[str], typer.Option(help="Settings to try: methods.dvcl.neighbours=5,10,20.")
    ] = [],  # noqa: B006
    twin: Annotated[bool, typer.Option(help="Also train supervised, for what it shows.")] = False,
    name: Annotated[str | None, typer.Option(help="Of the comparison; the recipe's name.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Instead of the studies' own.")] = None,
    validation_share: Annotated[
        float | None, typer.Option(help="As for `dvcl train`.", show_default=False)
    ] = None,
    test_share: Annotated[
        float | None, typer.Option(help="As for `dvcl train`.", show_default=False)
    ] = None,
    split_seed: Annotated[
        int | None, typer.Option(min=0, help="As for `dvcl train`.", show_default=False)
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Runs side by side.")] = 1,
    slurm: Annotated[bool, typer.Option(help="Submit runs to Slurm (needs submitit).")] = False,
    slurm_options: Annotated[
        list[str], typer.Option("--slurm-option", help="Of submitit: slurm_partition=gpu.")
    ] = [],  # noqa: B006
    dry: Annotated[bool, typer.Option("--dry", help="Only show what is done and missing.")] = False,
    device: Device = "auto",
    changes: Changes = [],  # noqa: B006
) -> None:
    """Train and score methods over seeds and settings; say which differences are real."""
    from dvcl.commands.compare import Options, compare_studies, parse_numbers
    from dvcl.commands.console import console
    from dvcl.report.tables import to_rich

    options = Options(
        methods=methods, seeds=parse_numbers("--seeds", seeds),
        labelled_cases=parse_numbers("--labelled-cases", labelled_cases),
        vary=vary, twin=twin, name=name, recipe=recipe, changes=tuple(changes),
        validation_share=validation_share, test_share=test_share, split_seed=split_seed,
        jobs=jobs, slurm=slurm, slurm_options=slurm_options, device=device,
    )  # fmt: skip
    outcome = compare_studies(studies, options, dry=dry)
    for found in outcome.findings:
        console.print(found.title)
        for table in (found.means, found.differences):
            if table:
                console.print(to_rich(table))
    for title, reason in outcome.failed.items():
        console.print(f"failed: {title}: {reason}", markup=False)
    console.print(outcome.note, markup=False)
    if outcome.failed:
        raise typer.Exit(1)


@app.command()
def report(work: Work) -> None:
    """Write one page that compares all evaluated runs of a study."""
    from dvcl.commands.console import console
    from dvcl.commands.project import open_project
    from dvcl.commands.report import write_report

    console.print(f"Open {write_report(open_project(work))} in a browser.", markup=False)


def _quoted(path: Path) -> str:
    """A path as a shell takes it, spaces and all."""
    return shlex.quote(str(path))


def main() -> None:
    """Run the command line; wrong input ends with exit code 2, a signal with 128 + its number."""
    # Threads that wait by spinning make a step over ten times slower as soon as another program
    # uses a core. Read when torch is loaded, so it must be set before.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except Exception as error:
        sys.exit(_exit_code(error))
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        sys.exit(130)


def _exit_code(error: Exception) -> int:
    files: Any = sys.modules.get("dvcl.files")
    if files and isinstance(error, OSError) and error.errno in files.REFUSALS:
        # A full disk or missing permission is for the user to mend; it is not reported as a bug.
        error = files.refusal(error.errno, error.filename)
    kind: Any = sys.modules.get("dvcl.errors")
    if kind and isinstance(error, kind.InputError):
        typer.echo(f"error: {error}", err=True)
        return 2
    stopped: Any = sys.modules.get("dvcl.training.interruption")
    if stopped and isinstance(error, stopped.Interrupted):
        typer.echo(f"{error}; run the same command again to continue.", err=True)
        return 128 + int(error.signal)
    raise error


if __name__ == "__main__":
    main()
