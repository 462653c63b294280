"""Scores of single cases: one row per case and organ."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dvcl.datasets.channels import CHANNEL_SUFFIX
from dvcl.datasets.dataset import Case, LabelTable
from dvcl.datasets.masks import holds_masks, masks_of, read_case_label
from dvcl.datasets.pairing import volumes_by_stem
from dvcl.errors import InputError, counted, shown
from dvcl.evaluation.overlap import confusion_matrix, dice, jaccard
from dvcl.evaluation.surface import SurfaceDistances, surface_distances
from dvcl.volume import Geometry, Volume
from dvcl.volume.turning import moves_between, turned, turned_like

# Further apart than this and two grids do not describe the same voxels.
GRID_TOLERANCE_MM = 0.5

# Of the normalised surface Dice, where nothing else is asked for.
TOLERANCE_MM = 2.0


@dataclass(frozen=True)
class CaseScore:
    """How well one organ of one case was found.

    Where the reference lacks the organ there is nothing to compare with: all scores are NaN, but
    for ``dice_absent_1``. Where only the prediction lacks it, Dice and its like are 0, and
    distances, which have no value, are the diagonal of the volume.

    Attributes:
        case: Case id.
        organ: Organ name.
        dice: 0..1.
        jaccard: 0..1.
        reference_ml: Volume of the organ in the reference, in ml.
        predicted_ml: Volume of the organ in the prediction, in ml. Beside a ``reference_ml`` of 0
            it is the size of a false positive that no overlap can show.
        volume_error: (predicted - reference) / reference.
        dice_absent_1: ``dice`` by the convention of much published code: 1 where both lack the
            organ, 0 where only the prediction has it. For comparing with published tables.
        hd95_mm: 95 % Hausdorff distance, the larger of both directions, as MONAI.
        hd95_pooled_mm: The same of both directions together, as medpy.
        assd_mm: Average symmetric surface distance.
        nsd: Normalised surface Dice, 0..1, at ``tolerance_mm``.
        tolerance_mm: How far apart surfaces may lie in ``nsd``.
    """

    case: str
    organ: str
    dice: float
    jaccard: float
    reference_ml: float
    predicted_ml: float
    volume_error: float = math.nan
    dice_absent_1: float = math.nan
    hd95_mm: float = math.nan
    hd95_pooled_mm: float = math.nan
    assd_mm: float = math.nan
    nsd: float = math.nan
    tolerance_mm: float = math.nan


def evaluate_case(
    case_id: str,
    reference: Volume,
    prediction: Volume,
    labels: LabelTable,
    tolerance_mm: float = TOLERANCE_MM,
    unannotated: Collection[str] = (),
) -> list[CaseScore]:
    """Score every organ of one case on the reference's own grid.

    Args:
        case_id: Written into the rows and named in errors.
        reference: Label integers as in ``labels``.
        prediction: Label integers as in ``labels``, on the same grid; its axes may have another
            order or direction.
        labels: The meaning of the integers.
        tolerance_mm: Of the normalised surface Dice.
        unannotated: Organs that the reference does not show although they may be there: their
            scores and their volume in the reference are NaN.

    Returns:
        One row per organ, in the order of ``labels``.

    Raises:
        InputError: When the grids differ or a volume holds integers outside ``labels``.
    """
    names = f"{case_id}: reference", f"{case_id}: prediction"
    check_same_grid(names[1], prediction.geometry, names[0], reference.geometry)
    prediction = turned_like(prediction, reference.geometry)
    expected = labels.encode(reference.array, names[0])
    found = labels.encode(prediction.array, names[1])
    confusion = confusion_matrix(expected, found, labels.classes)
    overlaps = zip(
        labels.organs,
        dice(confusion)[1:].tolist(),
        jaccard(confusion)[1:].tolist(),
        confusion.sum(axis=1)[1:].tolist(),
        confusion.sum(axis=0)[1:].tolist(),
        strict=True,
    )
    surfaces = surface_distances(expected, found, labels.classes, reference.spacing_mm)
    voxel_ml = math.prod(reference.spacing_mm) / 1000
    diagonal_mm = math.hypot(*map(operator.mul, reference.shape, reference.spacing_mm))
    scores = [
        CaseScore(
            case_id, organ, overlap, index, present * voxel_ml, predicted * voxel_ml,
            volume_error=(predicted - present) / present if present else math.nan,
            dice_absent_1=overlap if present else float(predicted == 0),
            **_distances(surface if present else None, diagonal_mm, tolerance_mm),
            tolerance_mm=tolerance_mm,
        )
        for (organ, overlap, index, present, predicted), surface in zip(
            overlaps, surfaces, strict=True
        )
    ]  # fmt: skip
    return [_undefined(score) if score.organ in unannotated else score for score in scores]


def _undefined(score: CaseScore) -> CaseScore:
    nothing = math.nan
    return CaseScore(
        score.case, score.organ, nothing, nothing, nothing, score.predicted_ml,
        tolerance_mm=score.tolerance_mm,
    )  # fmt: skip


def _distances(
    surface: SurfaceDistances | None, missed_mm: float, tolerance_mm: float
) -> dict[str, float]:
    if surface is None:
        return {}
    distances = {
        "hd95_mm": surface.hd95,
        "hd95_pooled_mm": surface.hd95_pooled,
        "assd_mm": surface.average,
    }
    distances = {name: min(value, missed_mm) for name, value in distances.items()}
    return {**distances, "nsd": surface.within(tolerance_mm)}


def check_same_grid(name: str, grid: Geometry, other_name: str, other: Geometry) -> None:
    """Check that two volumes share their voxels: equal shape, corners within 0.5 mm.

    The order and direction of their axes do not count.

    Raises:
        InputError: Names both volumes and how far they differ.
    """
    turned_grid = turned(grid, moves_between(grid, other))
    if turned_grid.shape != other.shape:
        raise InputError(
            f"{name} has the shape {grid.shape}, {other_name} {other.shape} (z, y, x); the same "
            "grid was expected. Predict on the original image, or resample to its grid."
        )
    distance = turned_grid.corner_distance_mm(other)
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
    tolerance_mm: float = TOLERANCE_MM,
    label_values: bool = False,
    cases: Sequence[str] = (),
) -> list[CaseScore]:
    """Score a folder of predictions against a folder of references, matched by name.

    Every reference needs its prediction, or every one that is chosen; predictions without a
    reference cannot be scored and are left alone. An organ that a folder of masks lacks was not
    looked for: it has no scores.

    Args:
        predictions: Folder with X.nii.gz or X.nii.
        references: Folder with X.nii.gz or X.nii, or X/ with one mask per organ.
        labels: The meaning of the integers in both.
        progress: Called with (cases done, cases in all, case id) after each case.
        tolerance_mm: Of the normalised surface Dice.
        label_values: Trust the integers on both sides, also where files name their segments.
        cases: Names of the references to score; all of them if there is none.

    Returns:
        One row per case and organ; cases in the order of their names.

    Raises:
        InputError: Lists every case that there is no reference of, every missing prediction, or
            else every case that cannot be scored.
    """
    pairs = _match(predictions, references, cases)
    scores: list[CaseScore] = []
    problems: list[str] = []
    for done, (case_id, reference, prediction) in enumerate(pairs, start=1):
        try:
            case = _case(case_id, prediction, reference, labels, label_values)
            # A DICOM segmentation ends where the grid of the other side does.
            predicted = replace(case, image=reference, label=prediction)
            volumes = read_case_label(case, labels), read_case_label(predicted, labels)
            scores += evaluate_case(case_id, *volumes, labels, tolerance_mm, case.unannotated)
        except InputError as error:
            problems += error.problems
        if progress:
            progress(done, len(pairs), case_id)
    if problems:
        raise InputError(problems, heading=f"{predictions}: cases that cannot be scored:")
    return scores


def _case(
    case_id: str, prediction: Path, reference: Path, labels: LabelTable, label_values: bool
) -> Case:
    drawn = masks_of(reference) if holds_masks(reference) else labels.organs
    unannotated = tuple(organ for organ in labels.organs if organ not in drawn)
    return Case(case_id, prediction, reference, unannotated=unannotated, label_values=label_values)


def _match(
    predictions: Path, references: Path, cases: Sequence[str]
) -> list[tuple[str, Path, Path]]:
    problems: list[str] = []
    expected = volumes_by_stem(references, problems, masks=True)
    found = volumes_by_stem(predictions, problems)
    if cases:
        problems += [
            f"{case}: no reference of this name in {references}; it has {shown(sorted(expected))}."
            for case in cases
            if case not in expected
        ]
        expected = {case: path for case, path in expected.items() if case in cases}
    if problems:
        raise InputError(problems)
    # As images and labels of a training: "X_0000" may belong to "X".
    short = {stem.removesuffix(CHANNEL_SUFFIX): path for stem, path in found.items()}
    pairs, missing = [], []
    for case_id, path in expected.items():
        prediction = found.get(case_id) or short.get(case_id.removesuffix(CHANNEL_SUFFIX))
        if prediction is None:
            missing.append(
                f"{predictions / case_id}.nii.gz: no such file, but the reference {path} needs it; "
                "predict this case first."
            )
        else:
            pairs.append((case_id, path, prediction))
    if missing:
        raise InputError(
            missing, heading=f"{len(missing)} of {counted(len(expected), 'prediction')} missing:"
        )
    return pairs
