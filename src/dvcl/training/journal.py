"""The run's diary: one JSON object per line, cut back to the checkpoint when a run resumes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NotRequired, TextIO, TypedDict

from dvcl.errors import InputError
from dvcl.files import write_text
from dvcl.records import Amount, Count, Misfit, check

Row = dict[str, Any]


class StepRow(TypedDict):
    """A row of kind "step".

    Attributes:
        seconds: On the clock.
        processor: Seconds of all its threads, where the processor trains: other work on the machine
            hardly changes them.
    """

    iteration: Count
    terms: dict[str, float | None]
    rate: float
    seconds: Amount
    waited: NotRequired[Amount]
    processor: NotRequired[Amount]
    peak_mib: NotRequired[Amount | None]
    gradient_norms: NotRequired[dict[str, float | None]]
    worked_on: NotRequired[dict[str, Count]]


class ValidationRow(TypedDict):
    """A row of kind "validation"."""

    iteration: Count
    seconds: Amount
    mean_dice: float | None
    dice: NotRequired[dict[str, float | None]]
    diagnostics: NotRequired[dict[str, float | None]]


KINDS: dict[str, type] = {"step": StepRow, "validation": ValidationRow}

# More than the longest row takes.
TAIL_BYTES = 2**16


class Journal:
    """Appends rows; each has "iteration" (steps done) and "kind" ("step" or "validation").

    Args:
        path: The ``.jsonl`` file; None keeps no diary.
        iteration: Rows beyond this iteration are dropped: the resumed run writes them again.
        observe: Called with every row, for progress displays.
    """

    def __init__(
        self, path: Path | None, iteration: int, observe: Callable[[Row], None] | None = None
    ) -> None:
        self.observe = observe
        self.file: TextIO | None = None
        if path is None:
            return
        kept = [row for row in read_journal(path) if row["iteration"] <= iteration]
        write_text(path, "".join(f"{_line(row)}\n" for row in kept))
        self.file = path.open("a", encoding="utf-8")

    def write(self, kind: str, iteration: int, **values: Any) -> None:
        """Append one row; NaN is written as null."""
        if self.file is None:
            return
        row = {"kind": kind, "iteration": iteration, **values}
        self.file.write(f"{_line(row)}\n")
        self.file.flush()
        if self.observe:
            self.observe(row)

    def close(self) -> None:
        """Close the file."""
        if self.file is not None:
            self.file.close()


def read_journal(path: Path) -> list[Row]:
    """All complete rows; a half-written last line, as a killed process leaves it, is dropped.

    Raises:
        InputError: When another line is damaged, or is no row: dropping it would lose what stands
            behind it.
    """
    if not path.exists():
        return []
    rows = []
    # Bytes, because the last line may end in the middle of a letter.
    *lines, _ = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(_parsed(line))
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{path}: line {number} is no row of a journal ({error}). Restore the file from a "
                "copy, or delete that line."
            ) from error
    return rows


def _parsed(line: bytes) -> Row:
    row = json.loads(line)
    kind = row.get("kind") if isinstance(row, dict) else None
    if kind not in [*KINDS]:
        raise Misfit(row, "a row of kind step or validation")
    check(row, KINDS[kind])
    return row


def last_iteration(path: Path) -> int:
    """Steps done by the end of a journal, 0 without one; reads its end alone."""
    if not path.exists():
        return 0
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        *lines, _ = file.read().split(b"\n")
    for line in reversed(lines):
        try:
            iteration: int = _parsed(line)["iteration"]
        except (ValueError, RecursionError):
            continue
        return iteration
    return 0


def _line(row: Row) -> str:
    return json.dumps(_without_nan(row), ensure_ascii=False, allow_nan=False)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
