"""Commands beside the work: what this machine can do, what a run gives to others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dvcl.cli.app import app


@app.command()
def doctor(
    work: Annotated[Path, typer.Argument(help="Folder to work in: is there room?")] = Path(),
) -> None:
    """Examine this machine: versions, devices, convolutions, room, extras; 1 if it cannot work."""
    from dvcl.commands.console import console
    from dvcl.commands.doctor import examine_and_tell

    raise typer.Exit(examine_and_tell(work, lambda line: console.print(line, markup=False)))
