"""The one exception for input that a person can put right."""

from __future__ import annotations

import reprlib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FEW = 5  # names written out in one message

_BRIEF = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxlong = _BRIEF.maxother = 80
_BRIEF.maxlist = _BRIEF.maxtuple = _BRIEF.maxset = _BRIEF.maxdict = 6
_BRIEF.maxlevel = 3


class InputError(Exception):
    """Wrong input: each problem names the file, the value found, what was expected and what to do.

    Args:
        problems: One message or several; several are listed together, so that a folder with ten
            faults is mended in one go.
        heading: A line above several problems.
    """

    def __init__(self, problems: str | Sequence[str], heading: str = "") -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        self.heading = heading
        super().__init__(str(self))

    def __str__(self) -> str:
        if len(self.problems) == 1 and not self.heading:
            return self.problems[0]
        heading = self.heading or f"{len(self.problems)} problems:"
        return "\n".join([heading, *(f"  - {problem}" for problem in self.problems)])

    def __reduce__(self) -> tuple[object, ...]:
        # Raised in worker processes too: pickle must not pass the joined text as a problem.
        return type(self), (self.problems, self.heading)


def counted(count: int | str, thing: str, things: str = "") -> str:
    """A number and what it counts: "1 scan", "2 scans"; the plural where it is not with an s."""
    return f"{count} {thing if str(count) == '1' else things or f'{thing}s'}"


def counted_are(count: int, thing: str) -> str:
    """The same with a verb: "1 scan is", "2 scans are"."""
    return f"{counted(count, thing)} {'is' if count == 1 else 'are'}"


def some_of(names: Sequence[str]) -> str:
    """The first five names, and how many more there are: "a, b, c, d, e and 4 more"."""
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return ", ".join(names[:FEW]) + more


def quoted(path: Path | str) -> str:
    """A path as a shell takes it, spaces and all, for commands that are to be copied."""
    return shlex.quote(str(path))


def shown(value: Any) -> str:
    """A value in a message: of any size and depth in about a line, printable on any terminal."""
    try:
        text = _BRIEF.repr(value)
    except ValueError:
        # Python writes out no number of more than some thousand digits.
        text = "a number of thousands of digits"
    return text.encode("utf-8", "backslashreplace").decode()
