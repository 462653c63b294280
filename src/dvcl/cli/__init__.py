"""The command line: parse, then call one function each. Heavy imports wait inside commands."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Any

import typer

# Commands stand in the help in the order in which these are loaded: that of the work.
from dvcl.cli import data, preparing, learning, unlabelled, scores, jobs, outward  # isort: skip
from dvcl.cli.app import UsageError, app
from dvcl.resources import launch
from dvcl.training.interruption import SIGNALS

__all__ = [
    "app",
    "data",
    "jobs",
    "learning",
    "main",
    "outward",
    "preparing",
    "scores",
    "unlabelled",
]


def main() -> None:
    """Run the command line; wrong input ends with exit code 2, a signal with 128 + its number."""
    # Threads that wait by spinning make a step over ten times slower as soon as another program
    # uses a core. Read when torch is loaded, so it must be set before.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Ctrl-C is an exception by itself.
    for number in set(SIGNALS) - {signal.SIGINT}:
        signal.signal(number, _end)
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except SystemExit as stop:
        # Where what reads a help text has closed it, typer ends with 1.
        is_closed = isinstance(stop.__context__, BrokenPipeError)
        sys.exit(128 + signal.SIGPIPE if is_closed else stop.code)
    except UsageError as error:
        sys.exit(_wrong_usage(error))
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


def _wrong_usage(error: Any) -> int:
    """Tell what is wrong with the command line itself, which no command has seen."""
    error.show()
    if "--json" in sys.argv:
        from dvcl.commands.session import print_json

        print_json({"errors": [error.format_message()]})
    return int(error.exit_code)


def _exit_code(error: Exception) -> int:
    from dvcl.commands.failure import failure_of

    failure = failure_of(error)
    if not failure.text:
        raise error
    # Of several processes that train one run the first one speaks; it hears of the others' errors.
    if launch().rank == 0:
        typer.echo(failure.text, err=True)
    return failure.code
