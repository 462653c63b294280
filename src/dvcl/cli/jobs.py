"""Commands that jobs of a cluster give. Heavy imports wait inside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dvcl.cli.app import Result, app
from dvcl.cli.options import Workers
from dvcl.errors import counted


@app.command(hidden=True)
def prepare_share(
    folder: Annotated[Path, typer.Argument(help="Of a share, in a study's store/shares.")],
    workers: Workers = None,
) -> Result:
    """Prepare a share of a study's scans, as the jobs of `dvcl prepare --slurm` do."""
    from dvcl.commands.console import console
    from dvcl.commands.shares import prepare_share as work_on

    done = work_on(folder, workers)
    console.print(f"{counted(done, 'case')} done.")
    return Result({"cases_done": done})
