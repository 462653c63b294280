"""Scores of single cases: one row per case and organ, and the CSV file that keeps them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from dvcl.datasets.dataset import LabelTable
from dvcl.errors import InputError
from dvcl.evaluation.overlap import confusion_matrix, dice, jaccard
from dvcl.files import write_text
from dvcl.volume import VOLUME_SUFFIXES, Geometry, Volume, is_volume, read_label, volume_stem

# Further apart than this and two grids do not describe the same voxels.
GRID_TOLERANCE_MM = 0.5


@dataclass(frozen=True)
class CaseScore:
    """How well one organ of one case was found.

    Attributes:
        case: Case id.
        organ: Organ name.
        dice: 0..1; NaN where the reference lacks the organ.
        jaccard: 0..1; NaN where the reference lacks the organ.
        reference_ml: Volume of the organ in the reference, in ml.
        predicted_ml: Volume of the organ in the prediction, in ml. Beside a ``reference_ml`` of 0
            it is the size of a false positive that no overlap can show.
    """

    case: str
    organ: str
    dice: float
    jaccard: float
    reference_ml: float
    predicted_ml: float


COLUMNS = tuple(field.name for field in fields(CaseScore))


def evaluate_case(
    case_id: str, reference: Volume, prediction: Volume, labels: LabelTable
) -> list[CaseScore]:
    """Score every organ of one case on the reference's own grid.

    Args:
        case_id: Written into the rows and named in errors.
        reference: Label integers as in ``labels``.
        prediction: Label integers as in ``labels``, on the same grid.
        labels: The meaning of the integers.

    Returns:
        One row per organ, in the order of ``labels``.

    Raises:
        InputError: When the grids differ or a volume holds integers outside ``labels``.
    """
    names = f"{case_id}: reference", f"{case_id}: prediction"
    check_same_grid(names[1], prediction.geometry, names[0], reference.geometry)
    confusion = confusion_matrix(
        labels.encode(reference.array, names[0]),
        labels.encode(prediction.array, names[1]),
        labels.classes,
    )
    voxel_ml = math.prod(reference.spacing_mm) / 1000
    columns = (
        dice(confusion),
        jaccard(confusion),
        confusion.sum(axis=1) * voxel_ml,
        confusion.sum(axis=0) * voxel_ml,
    )
    return [
        CaseScore(case_id, organ, *(float(column[index]) for column in columns))
        for index, organ in enumerate(labels.organs, start=1)
    ]


def check_same_grid(name: str, grid: Geometry, other_name: str, other: Geometry) -> None:
    """Check that two volumes share their voxels: equal shape, corners within 0.5 mm.

    Raises:
        InputError: Names both volumes and how far they differ.
    """
    if grid.shape != other.shape:
        raise InputError(
            f"{name} has the shape {grid.shape}, {other_name} {other.shape} (z, y, x); the same "
            "grid was expected. Predict on the original image, or resample to its grid."
        )
    distance = grid.corner_distance_mm(other)
    if distance > GRID_TOLERANCE_MM:
        raise InputError(
            f"{name} ({grid.orientation}) and {other_name} ({other.orientation}) have corners up "
            f"to {distance:.1f} mm apart; at most {GRID_TOLERANCE_MM} mm was expected. Predict on "
            "the original image, or correct the header that is wrong."
        )


def evaluate_folders(
    predictions: Path,
    references: Path,
    labels: LabelTable,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[CaseScore]:
    """Score a folder of predictions against a folder of references, matched by file name.

    Every reference needs its prediction; predictions without a reference cannot be scored and
    are left alone.

    Args:
        predictions: Folder with X.nii.gz or X.nii.
        references: Folder with X.nii.gz or X.nii.
        labels: The meaning of the integers in both.
        progress: Called with (cases done, cases in all, case id) after each case.

    Returns:
        One row per case and organ; cases in the order of their names.

    Raises:
        InputError: Lists every missing prediction, or else every case that cannot be scored.
    """
    pairs = _match(predictions, references)
    scores: list[CaseScore] = []
    problems: list[str] = []
    for done, (case_id, reference, prediction) in enumerate(pairs, start=1):
        try:
            scores += evaluate_case(case_id, read_label(reference), read_label(prediction), labels)
        except InputError as error:
            problems += error.problems
        if progress:
            progress(done, len(pairs), case_id)
    if problems:
        raise InputError(problems, heading=f"{predictions}: cases that cannot be scored:")
    return scores


def _match(predictions: Path, references: Path) -> list[tuple[str, Path, Path]]:
    expected, found = _volumes(references), _volumes(predictions)
    missing = [
        f"{predictions / case_id}.nii.gz: no such file, but the reference {path} needs it; "
        "predict this case first."
        for case_id, path in expected.items()
        if case_id not in found
    ]
    if missing:
        raise InputError(missing, heading=f"{len(missing)} of {len(expected)} predictions missing:")
    return [(case_id, path, found[case_id]) for case_id, path in expected.items()]


def _volumes(folder: Path) -> dict[str, Path]:
    """Volumes of a folder by case id."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; a folder of label volumes was expected.")
    volumes: dict[str, Path] = {}
    for path in sorted(filter(is_volume, folder.iterdir())):
        case_id = volume_stem(path)
        if case_id in volumes:
            raise InputError(
                f"{folder}: {volumes[case_id].name} and {path.name} are the same case twice; "
                "remove one of them."
            )
        volumes[case_id] = path
    if not volumes:
        raise InputError(f"{folder}: no volume in it; {' or '.join(VOLUME_SUFFIXES)} expected.")
    return volumes


def write_scores(path: Path | str, scores: Iterable[CaseScore]) -> None:
    """Write scores as CSV, atomically; NaN becomes an empty cell, numbers keep every digit."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for score in scores:
        row = asdict(score)
        writer.writerow({name: "" if value != value else value for name, value in row.items()})
    write_text(path, text.getvalue())


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
    return [_score(row, f"{path}, line {line}") for line, row in enumerate(rows[1:], start=2)]


def _score(row: Sequence[str], place: str) -> CaseScore:
    try:
        case, organ, *numbers = row
        return CaseScore(case, organ, *(float(cell) if cell else math.nan for cell in numbers))
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{place}: {row} is not a case, an organ and {len(COLUMNS) - 2} numbers. "
            "Evaluate the predictions again."
        ) from error
