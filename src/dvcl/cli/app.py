"""The command line to which each command is added, with the options that all commands have."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, NamedTuple

import typer

from dvcl import __version__

# Wrong words on the command line; typer gives a name to some kinds of it alone.
UsageError: type[Exception] = typer.BadParameter.__bases__[0]


class Result(NamedTuple):
    """What a command has found: for `--json`, and the code with which it ends.

    Attributes:
        facts: Plain values; numbers that are not defined as NaN.
        exit_code: 0 unless docs/conventions.md says otherwise.
    """

    facts: dict[str, Any]
    exit_code: int = 0


COMMON = {
    "quiet": Annotated[bool, typer.Option("--quiet", "-q", help="Results and warnings alone.")],
    "verbose": Annotated[bool, typer.Option("--verbose", "-v", help="Also settings and times.")],
    "as_json": Annotated[
        bool, typer.Option("--json", help="The result as JSON; all else goes to standard error.")
    ],
}


class _App(typer.Typer):
    """Gives every command the options that are common to all."""

    def command(self, *args: Any, **options: Any) -> Callable[[Any], Any]:
        """Add a command, as Typer does."""
        # Words too many are told by dvcl itself, with what was probably meant.
        settings = {"allow_extra_args": True}
        add = super().command(*args, context_settings=settings, **options)

        def with_common(function: Callable[..., Result]) -> Callable[..., Result]:
            add(_common(function))
            return function

        return with_common


def _common(function: Callable[..., Result]) -> Callable[..., None]:
    @wraps(function)
    def run(
        context: typer.Context, quiet: bool, verbose: bool, as_json: bool, **given: Any
    ) -> None:
        from dvcl.commands.session import Manner, run_command

        _refuse_swallowed(context)
        words, manner = ("dvcl", *sys.argv[1:]), Manner(quiet, verbose, as_json)

        def work() -> Result:
            if context.args:
                from dvcl.commands.surplus import refuse_surplus

                refuse_surplus(words, context.args, given, given.get("work"))
            return function(**given)

        code = run_command(work, given, words, manner)
        if code:
            raise typer.Exit(code)

    # Typer reads options from the signature and the annotations.
    own = inspect.signature(function, eval_str=True)
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
        for name, kind in COMMON.items()
    ]
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters = [*own.parameters.values(), context, *more]
    run.__dict__["__signature__"] = own.replace(parameters=parameters, return_annotation=None)
    kinds = {**COMMON, "context": typer.Context, "return": None}
    run.__annotations__ = {**function.__annotations__, **kinds}
    return run


def _refuse_swallowed(context: typer.Context) -> None:
    """Refuse another option as an option's value: it takes whatever follows, were it `--json`."""
    options = [each for each in context.command.params if each.param_type_name == "option"]
    names = {name for option in options for name in option.opts}
    for option in options:
        given = context.params[str(option.name)]
        for value in map(str, given if isinstance(given, list | tuple) else [given]):
            if value.startswith("--") or value in names:
                raise typer.BadParameter(
                    f"{value!r}, an option, stands where a value was expected. Give the value "
                    f"behind {option.opts[0]}.",
                    context,
                    param_hint=f"'{option.opts[0]}'",
                )


app = _App(
    name="dvcl",
    help="Train 3-D multi-organ segmentation from few labelled and many unlabelled scans.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _tell_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"dvcl {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Tell the version."),
    ] = False,
) -> None:
    """Train 3-D multi-organ segmentation from few labelled and many unlabelled scans."""
