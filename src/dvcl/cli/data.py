"""Commands that look at scans, or make them up. Heavy imports wait inside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dvcl.cli.app import Result, app
from dvcl.cli.options import (
    AllowOverlap,
    Changes,
    Data,
    Device,
    Labelled,
    Labels,
    LabelValues,
    Layout,
    Modality,
    Overlaps,
    Partial,
    Test,
    Unlabelled,
    Validation,
    typed,
)
from dvcl.errors import InputError


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Where to work.")] = Path("demo"),
    device: Device = "auto",
    changes: Changes = [],  # noqa: B006
) -> Result:
    """Run everything on made-up patients: make, prepare, train, test, report."""
    from dvcl.commands.demo import run_demo

    return Result({"page": run_demo(out, device, tuple(changes))})


@app.command()
def phantom(
    out: Annotated[Path, typer.Argument(help="Folder for the scans.")],
    labelled: int = 4,
    unlabelled: int = 20,
    validation: int = 2,
    test: int = 6,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> Result:
    """Write made-up abdominal CT scans with 13 organs as plain folders."""
    from dvcl.commands.console import bars
    from dvcl.datasets.phantom import make_phantom

    with bars() as bar:
        make_phantom(
            out, labelled, unlabelled, validation, test, seed=seed, progress=bar("Phantom")
        )
    return Result({"folder": out})


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
    label_values: LabelValues = False,
    recipe: Annotated[
        str | None, typer.Option(help="For the estimate; small-ct or small-mr by default.")
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
) -> Result:
    """Look for everything wrong with scans, before any work; 1 if there are errors."""
    from functools import partial as bound

    from dvcl.commands.check import check_scans
    from dvcl.commands.check_tables import tell
    from dvcl.commands.console import bars
    from dvcl.commands.fix import fix_scans
    from dvcl.commands.sources import find_dataset
    from dvcl.datasets.checks.repair import RepairOptions

    find = bound(
        find_dataset, labelled, unlabelled, validation, test, labels,
        data=data, layout=layout, modality=modality,  # type: ignore[arg-type]
        partial=partial, overlaps=overlaps, label_values=label_values,
    )  # fmt: skip
    with bars() as bar:
        checked = check_scans(
            find, recipe, changes, allow_overlap=allow_overlap,
            checked=bar("Checking"), compared=bar("Comparing"),
        )  # fmt: skip
    tell(checked)
    if fix:
        with bars() as bar:
            fixed = fix_scans(checked, fix, RepairOptions(fill_nan, fix_within_mm), bar("Writing"))
        tell(fixed)
    return Result(checked.to_json(), checked.exit_code(strict))


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
    label_values: LabelValues = False,
    out: Annotated[Path, typer.Option(help="New recipe file.")] = Path("plan.toml"),
    method: Annotated[str, typer.Option(help="Whose training step is measured.")] = "dvcl",
    minutes: Annotated[
        float | None, typer.Option(help="For one training; 20 on a CPU, 600 on a GPU.")
    ] = None,
    memory: Annotated[
        float | None, typer.Option(help="GiB that a step may take; all that is free.")
    ] = None,
    device: Device = "auto",
) -> Result:
    """Look at scans and machine, and propose a recipe with reasons."""
    from dvcl.commands.console import bars, console
    from dvcl.commands.plan import fingerprint_path, make_plan, plan_table, warnings
    from dvcl.commands.sources import find_dataset
    from dvcl.studies.device import usable_device

    given: dict[str, Any] = {
        "labelled": labelled, "unlabelled": unlabelled, "validation": validation, "test": test,
        "labels": labels, "data": data, "layout": layout, "modality": modality,
        "partial": partial, "overlaps": overlaps, "label_values": label_values,
    }  # fmt: skip
    dataset = find_dataset(**given)
    with bars() as bar:
        made = make_plan(
            dataset, out, device=usable_device(device), method=method, minutes=minutes,
            memory_gib=memory, looked=bar("Looking"), measured=bar("Measuring"),
        )  # fmt: skip
    console.print(plan_table(made))
    for warning in warnings(made):
        console.warn(f"Note: {warning}")
    console.print(
        f"{made.in_words}\nRecipe: {out}; the numbers behind it: {fingerprint_path(out)}",
        markup=False,
    )
    words = "dvcl", "prepare", f"{dataset.name}-study"
    given["layout"] = layout if data else None
    console.note(f"Next: {typed(*words, recipe=out, **given)}")
    return Result({"recipe": out, **made.to_json()})


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
    label_values: LabelValues = False,
    window: Annotated[
        tuple[float, float] | None,
        typer.Option(help="Intensities from black to white; soft tissue for CT."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="PNG, or HTML for a page to scroll through; named after what is shown.",
            show_default=False,
        ),
    ] = None,
) -> Result:
    """Draw one scan as a contact sheet, or a whole data set as a montage."""
    from dvcl.commands.console import bars, console
    from dvcl.commands.show import show as show_subject
    from dvcl.commands.show import worth_a_look
    from dvcl.commands.show_subject import subject_of_dataset, subject_of_path
    from dvcl.commands.sources import find_dataset
    from dvcl.datasets.checks import Finding, alike_as_one

    if window and not window[0] < window[1]:
        raise InputError(f"--window {window[0]:g} {window[1]:g}: the lower one goes first.")
    if path:
        if labelled or data:
            raise InputError(f"{path}: give either a path, or --labelled or --data, not both.")
        subject = subject_of_path(
            path, label=label, labels=labels, modality=modality, window=window,  # type: ignore[arg-type]
            label_values=label_values,
        )  # fmt: skip
    else:
        dataset = find_dataset(
            labelled, unlabelled, validation, test, labels,
            data=data, layout=layout, modality=modality,  # type: ignore[arg-type]
            partial=partial, overlaps=overlaps, label_values=label_values,
        )  # fmt: skip
        subject = subject_of_dataset(dataset, window)
    found: list[Finding] = []
    if subject.is_alone or case:
        written = show_subject(subject, out, case, tell=found.extend)
    else:
        with bars() as bar:
            written = show_subject(subject, out, progress=bar("Drawing"), tell=found.extend)
    for finding in alike_as_one(worth_a_look(found)):
        console.warn(finding.problem)
    console.print("\n".join(map(str, written)), markup=False)
    return Result({"files": written, "findings": [finding.to_json() for finding in found]})
