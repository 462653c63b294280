"""The command that makes a study of scans, and lets it grow. Heavy imports wait inside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dvcl.cli.app import Result, app
from dvcl.cli.options import (
    AllowOverlap,
    Changes,
    Data,
    Labelled,
    Labels,
    LabelValues,
    Layout,
    Modality,
    Overlaps,
    Partial,
    SlurmJobs,
    SlurmOptions,
    Test,
    Unlabelled,
    Validation,
    Work,
    Workers,
    typed,
)
from dvcl.errors import counted


@app.command()
def prepare(
    work: Work,
    add: Annotated[
        list[Path],
        typer.Option(
            help="Folder with more scans or labels for a study that is there; may be repeated."
        ),
    ] = [],  # noqa: B006
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
    name: Annotated[
        str | None,
        typer.Option(help="Of the data set in reports; the study's.", show_default=False),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Recipe or .toml file; small-ct or small-mr by default.")
    ] = None,
    workers: Workers = None,
    slurm: SlurmJobs = None,
    slurm_options: SlurmOptions = [],  # noqa: B006
    allow_overlap: AllowOverlap = False,
    changes: Changes = [],  # noqa: B006
) -> Result:
    """Check scans and prepare them for training, once; --add lets a study grow."""
    from functools import partial as bound

    from dvcl.commands.console import console
    from dvcl.commands.prepare import add_scans, growth, prepare_scans, usual_name
    from dvcl.commands.shares import workers_of
    from dvcl.commands.sources import find_addition, find_dataset
    from dvcl.studies.project import open_project

    by = workers_of(work, workers, slurm, slurm_options)
    kind = {"partial": partial, "overlaps": overlaps, "label_values": label_values}
    how: dict[str, Any] = {"layout": layout, "modality": modality, **kind}
    scans: dict[str, Any] = {
        "unlabelled": unlabelled, "validation": validation, "test": test, "labels": labels
    }  # fmt: skip
    if add:
        find = bound(find_addition, folders=add, **scans, **how)
        others = {"--labelled": labelled, "--data": data, "--name": name, "--recipe": recipe,
                  "--set": changes}  # fmt: skip
        before, after = add_scans(work, find, others, allow_overlap, by)
        about = growth(before, after)
    else:
        called = name or (usual_name(work) if labelled else None)
        store, chosen = prepare_scans(
            work, bound(find_dataset, labelled, data=data, name=called, **scans, **how),
            bool(labelled or data or name or modality or any(scans.values()) or any(kind.values())),
            recipe, changes, by,
        )  # fmt: skip
        holds = f"{counted(len(store.ids), 'case')}, {counted(len(store.labels.organs), 'organ')}"
        about = f"{holds}, recipe {chosen}: {work}"
    console.print(about, markup=False)
    console.note(f"Next: {typed('dvcl', 'train', work, method='dvcl')}")
    made = open_project(work)
    return Result({
        "study": work, "edition": made.edition, "recipe": made.recipe,
        "cases": [case.id for case in made.dataset.cases], "organs": made.dataset.labels.organs,
    })  # fmt: skip
