"""The command line to which each command is added."""

from __future__ import annotations

import typer

app = typer.Typer(
    name="dvcl",
    help="Train 3-D multi-organ segmentation from few labelled and many unlabelled scans.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
