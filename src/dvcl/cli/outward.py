"""Commands beside the work: what this machine can do, what a run gives to others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dvcl.cli.app import Result, app

RunFolder = Annotated[
    Path, typer.Argument(help="A run: its folder, WORK, or WORK and a part of its path.")
]


@app.command()
def doctor(
    work: Annotated[Path, typer.Argument(help="Folder to work in: is there room?")] = Path(),
) -> Result:
    """Examine this machine: versions, devices, convolutions, room, extras; 1 if it cannot work."""
    from dvcl.commands.console import console
    from dvcl.commands.doctor import examine_and_tell

    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        console.print(line, markup=False)

    code = examine_and_tell(work, tell)
    return Result({"examined": lines}, code)


@app.command()
def export(
    run: RunFolder,
    to: Annotated[Literal["onnx", "torch", "monai"], typer.Option(help="Form of the network.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder; exported/FORM in the run's.", show_default=False)
    ] = None,
) -> Result:
    """Write a run's network for other programs, with all they need to know; it is tried."""
    from dvcl.commands.console import console
    from dvcl.commands.export import export_run
    from dvcl.commands.run_doubts import doubts_of_runs
    from dvcl.studies.finding import find_run

    opened = find_run(run)
    for doubt in doubts_of_runs([opened]):
        console.warn(doubt)
    written = export_run(opened, to, out or opened.folder / "exported" / to)
    console.print(
        f"Written: {written.model}\nHow scans are brought to it: {written.description}\n"
        f"Probabilities differ from the run's in float32 by at most {written.difference:.1g}.",
        markup=False,
    )
    if written.usage:
        console.note(f"Next: {written.usage}")
    return Result({"model": written.model, "description": written.description})


@app.command()
def card(
    run: RunFolder,
    out: Annotated[
        Path | None, typer.Option(help="Folder; the run's own.", show_default=False)
    ] = None,
) -> Result:
    """Write a model card of a run: data, training, scores, doubts, limits, CLAIM's items."""
    from dvcl.commands.card import write_card
    from dvcl.commands.console import console
    from dvcl.studies.finding import find_run

    opened = find_run(run)
    page = write_card(opened, out or opened.folder)
    console.print(
        f"Written: {page} and the same as {page.stem}.md. It names no case and no folder; read "
        "it and fill in what is yours before you pass it on.",
        markup=False,
    )
    return Result({"page": page})
