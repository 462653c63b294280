"""The CSV file that keeps scores: one row per case and organ."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from dvcl.errors import InputError, shown
from dvcl.evaluation.cases import CaseScore
from dvcl.files import write_text

COLUMNS = tuple(field.name for field in fields(CaseScore))
# Of every version.
FIRST_COLUMNS = ",".join(COLUMNS[:3])


def write_scores(path: Path | str, scores: Iterable[CaseScore]) -> None:
    """Write scores as CSV, atomically; NaN becomes an empty cell, numbers keep every digit."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for score in scores:
        row = asdict(score)
        writer.writerow({name: "" if value != value else value for name, value in row.items()})
    write_text(path, text.getvalue())


def check_replaceable(path: Path) -> None:
    """Refuse a place for scores where something else is, such as a label map or one's own table.

    Raises:
        InputError: When it is a folder, or a file that holds no scores of any version.
    """
    if not path.exists():
        return
    begin = "a folder"
    if path.is_file():
        with path.open("rb") as file:
            begin = file.read(len(FIRST_COLUMNS)).decode("utf-8", "replace")
    if begin != FIRST_COLUMNS:
        raise InputError(
            f"{path}: holds no scores, but {shown(begin)}; a new file, or scores to be replaced "
            f"({FIRST_COLUMNS}, ...), were expected. Choose another file with --out."
        )


def read_scores(path: Path | str) -> list[CaseScore]:
    """Read what `write_scores` wrote; equal values, bit for bit.

    Raises:
        InputError: When the file is missing, is no CSV, has other columns, or a cell is not a
            number.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; scores (CSV) were expected there.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV file in UTF-8 ({error}).") from error
    header = tuple(rows[0]) if rows else ()
    if header != COLUMNS:
        raise InputError(
            f"{path}: its columns are {', '.join(header) or 'none'}; expected {', '.join(COLUMNS)}."
            " Evaluate the predictions again."
        )
    return [parse_score(row, f"{path}, line {line}") for line, row in enumerate(rows[1:], start=2)]


def parse_score(row: Sequence[str], place: str) -> CaseScore:
    """One row of such a file, cell by cell in the order of `COLUMNS`.

    Raises:
        InputError: When a cell is not a number; names ``place``.
    """
    try:
        case, organ, *numbers = row
        return CaseScore(case, organ, *(float(cell) if cell else math.nan for cell in numbers))
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{place}: {row} is not a case, an organ and {len(COLUMNS) - 2} numbers. "
            "Evaluate the predictions again."
        ) from error
