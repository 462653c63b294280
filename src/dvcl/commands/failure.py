"""How a command ends that has failed: the code, and what is told of it."""

from __future__ import annotations

import signal
from typing import Any, NamedTuple

from dvcl.errors import InputError
from dvcl.files import REFUSALS, refusal
from dvcl.resources import is_out_of_memory, out_of_memory
from dvcl.training.interruption import Interrupted

AGAIN = "run the same command again to continue."


class Failure(NamedTuple):
    """An end that was not wanted.

    Attributes:
        code: Exit code.
        problems: One message each.
        text: All of them for a person; empty of a fault of the program, which ends with its
            traceback, and of a stop of which the person knows.
        heading: What is true of all problems; may be empty.
    """

    code: int
    problems: list[str]
    text: str = ""
    heading: str = ""

    @property
    def facts(self) -> dict[str, Any]:
        """Plain values."""
        heading = {"heading": self.heading} if self.heading else {}
        return {"errors": self.problems, **heading}


def failure_of(error: BaseException) -> Failure:
    """What a command that ends with an error is to tell."""
    if isinstance(error, OSError) and error.errno in REFUSALS:
        # A full disk or missing permission is for the user to mend; it is not reported as a bug.
        error = refusal(error.errno, error.filename)
    if is_out_of_memory(error):
        error = InputError(out_of_memory("the command", error))
    if isinstance(error, InputError):
        return Failure(2, error.problems, f"error: {error}", error.heading)
    if isinstance(error, Interrupted):
        told = f"{error}; {AGAIN}"
        return Failure(128 + int(error.signal), [told], told)
    if isinstance(error, KeyboardInterrupt):
        return Failure(130, ["interrupted"])
    if isinstance(error, SystemExit) and isinstance(error.code, int) and error.code > 128:
        name = signal.Signals(error.code - 128).name
        return Failure(error.code, [f"stopped by {name}; {AGAIN}"])
    return Failure(1, [f"{type(error).__name__}: {error}. This is a fault of the program."])
