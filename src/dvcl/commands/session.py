"""Around every command: how much it says, its result as JSON, and its record in the study."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from dvcl import __version__
from dvcl.commands.console import console, end_at_closed_pipe
from dvcl.commands.failure import failure_of
from dvcl.errors import InputError
from dvcl.files import defined, write_json
from dvcl.resources import launch
from dvcl.studies.place import study_around

LOG = "log"
# Arguments in which commands name a study or what lies in one.
PLACES = ("work", "run", "predictions", "studies", "runs", "folder", "path")


class Found(Protocol):
    """What a command returns."""

    @property
    def facts(self) -> dict[str, Any]:
        """Plain values."""

    @property
    def exit_code(self) -> int:
        """With which it ends."""


class Manner(NamedTuple):
    """How a command speaks.

    Attributes:
        quiet: Results and warnings alone.
        verbose: Also settings, paths and times.
        as_json: The result as JSON on standard output, all else on standard error.
    """

    quiet: bool = False
    verbose: bool = False
    as_json: bool = False


def run_command(
    work: Callable[[], Found | None],
    given: Mapping[str, Any],
    words: Sequence[str],
    manner: Manner,
) -> int:
    """Run a command; its record is in the study from the start, and complete in the end.

    Args:
        work: The command.
        given: Its arguments and options.
        words: As they were typed.
        manner: How it speaks.

    Returns:
        The exit code.

    Raises:
        InputError: With --quiet and --verbose together, and as the command.
    """
    console.begin(manner.quiet, manner.verbose, manner.as_json)
    record = _Record(words)
    record.write(study_of(given))
    _tell_settings(given, study_of(given))
    code = 1
    try:
        if manner.quiet and manner.verbose:
            raise InputError("--quiet and --verbose: one of both was expected.")
        found = work()
        code = found.exit_code if found else 0
        if manner.as_json:
            print_json(found.facts if found else {})
    except BaseException as error:
        failure = failure_of(error)
        code = failure.code
        if manner.as_json:
            print_json(failure.facts)
        raise
    finally:
        # Once more: what was prepared just now is a study since.
        record.end(code, console.warned)
        record.write(study_of(given))
        _tell_times(record)
    return code


def study_of(given: Mapping[str, Any]) -> Path | None:
    """The study that a command works in; None where it names none."""
    for name in PLACES:
        value = given.get(name)
        for path in value if isinstance(value, list) else [value]:
            if isinstance(path, Path) and (study := study_around(path.absolute())):
                return study
    return None


class _Record:
    """One command, in ``WORK/log/<start>-<command>-<process>.json``."""

    def __init__(self, words: Sequence[str]) -> None:
        self.begun, self.processor_s = time.monotonic(), time.process_time()
        start = datetime.now(UTC)
        name = words[1] if len(words) > 1 else words[0]
        self.file = f"{start:%Y%m%dT%H%M%S}-{name}-{os.getpid()}.json"
        self.facts: dict[str, Any] = {
            "command": [*words], "dvcl": __version__, "start": start.isoformat(timespec="seconds"),
            "end": None, "exit_code": None, "warnings": [],
        }  # fmt: skip

    def end(self, code: int, warned: Sequence[str]) -> None:
        end = datetime.now(UTC).isoformat(timespec="seconds")
        self.facts |= {"end": end, "exit_code": code, "warnings": [*warned]}

    def write(self, study: Path | None) -> None:
        # A study that may only be read is used all the same; of several processes one writes.
        if study and launch().rank == 0:
            with suppress(InputError):
                write_json(study / LOG / self.file, self.facts)


def _tell_settings(given: Mapping[str, Any], study: Path | None) -> None:
    console.detail(f"dvcl {__version__}, process {os.getpid()}, in {Path.cwd()}")
    for name, value in given.items():
        if value not in (None, [], ()):
            shown = ", ".join(map(str, value)) if isinstance(value, list) else value
            console.detail(f"  {name.replace('_', '-')}: {shown}")
    if study:
        console.detail(f"Recorded in {study / LOG}")


def _tell_times(record: _Record) -> None:
    took, processor = time.monotonic() - record.begun, time.process_time() - record.processor_s
    console.detail(f"Took {took:.1f} s, {processor:.1f} s of them at work on a processor.")


def print_json(facts: Mapping[str, Any]) -> None:
    """Write a document to standard output; of several processes the first one does."""
    if launch().rank == 0:
        text = json.dumps(defined(facts), indent=1, ensure_ascii=False, allow_nan=False)
        try:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
        except BrokenPipeError:
            end_at_closed_pipe(sys.stdout)
