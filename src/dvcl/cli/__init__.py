"""The command line: parse, then call one function each. Heavy imports wait inside commands."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Any

import typer

# Commands stand in the help in the order in which these are loaded: that of the work.
from dvcl.cli import data, learning, unlabelled, scores, jobs, outward  # isort: skip
from dvcl.cli.app import app
from dvcl.resources import is_out_of_memory, launch, out_of_memory
from dvcl.training.interruption import SIGNALS, Interrupted

__all__ = ["app", "data", "jobs", "learning", "main", "outward", "scores", "unlabelled"]


def main() -> None:
    """Run the command line; wrong input ends with exit code 2, a signal with 128 + its number."""
    # Threads that wait by spinning make a step over ten times slower as soon as another program
    # uses a core. Read when torch is loaded, so it must be set before.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Ctrl-C is an exception by itself.
    for number in set(SIGNALS) - {signal.SIGINT}:
        signal.signal(number, _end)
    try:
        app()
    except Exception as error:
        sys.exit(_exit_code(error))
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        sys.exit(130)


def _end(number: int, _: FrameType | None) -> None:
    """End as after an error: what is half-written is removed, what was started is stopped."""
    # A second signal is not to interrupt that.
    signal.signal(number, signal.SIG_IGN)
    name = signal.Signals(number).name
    typer.echo(f"stopped by {name}; run the same command again to continue.", err=True)
    sys.exit(128 + number)


def _exit_code(error: Exception) -> int:
    files: Any = sys.modules.get("dvcl.files")
    if files and isinstance(error, OSError) and error.errno in files.REFUSALS:
        # A full disk or missing permission is for the user to mend; it is not reported as a bug.
        error = files.refusal(error.errno, error.filename)
    kind: Any = sys.modules.get("dvcl.errors")
    if kind and is_out_of_memory(error):
        error = kind.InputError(out_of_memory("the command", error))
    if kind and isinstance(error, kind.InputError):
        _tell(f"error: {error}")
        return 2
    if isinstance(error, Interrupted):
        _tell(f"{error}; run the same command again to continue.")
        return 128 + int(error.signal)
    raise error


def _tell(message: str) -> None:
    # Of several processes that train one run the first one speaks; it hears of the others' errors.
    if launch().rank == 0:
        typer.echo(message, err=True)
