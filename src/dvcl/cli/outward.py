"""Commands beside the work: what this machine can do, what a run gives to others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dvcl.cli.app import app

RunFolder = Annotated[Path, typer.Argument(help="A run's folder, as `dvcl train` prints it.")]


@app.command()
def doctor(
    work: Annotated[Path, typer.Argument(help="Folder to work in: is there room?")] = Path(),
) -> None:
    """Examine this machine: versions, devices, convolutions, room, extras; 1 if it cannot work."""
    from dvcl.commands.console import console
    from dvcl.commands.doctor import examine_and_tell

    raise typer.Exit(examine_and_tell(work, lambda line: console.print(line, markup=False)))


@app.command()
def export(
    run: RunFolder,
    to: Annotated[Literal["onnx", "torch", "monai"], typer.Option(help="Form of the network.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder; exported/FORM in the run's.", show_default=False)
    ] = None,
) -> None:
    """Write a run's network for other programs, with all they need to know; it is tried."""
    from dvcl.commands.console import console
    from dvcl.commands.export import export_run
    from dvcl.studies.run import open_run

    opened = open_run(run)
    if unfinished := opened.unfinished():
        console.print(unfinished, markup=False)
    written = export_run(opened, to, out or run / "exported" / to)
    console.print(
        f"Written: {written.model}\nHow scans are brought to it: {written.description}\n"
        f"Probabilities differ from the run's in float32 by at most {written.difference:.1g}.",
        markup=False,
    )
    if written.usage:
        console.print(f"Next: {written.usage}", markup=False)


@app.command()
def card(
    run: RunFolder,
    out: Annotated[
        Path | None, typer.Option(help="Folder; the run's own.", show_default=False)
    ] = None,
) -> None:
    """Write a model card of a run: data, training, scores, doubts, limits, CLAIM's items."""
    from dvcl.commands.card import write_card
    from dvcl.commands.console import console
    from dvcl.studies.run import open_run

    page = write_card(open_run(run), out or run)
    console.print(
        f"Written: {page} and the same as {page.stem}.md. It names no case and no folder; read "
        "it and fill in what is yours before you pass it on.",
        markup=False,
    )
