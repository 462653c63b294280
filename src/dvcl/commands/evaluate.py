"""Score a run on its test cases, or label maps against references."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dvcl.commands.predict import predict_files
from dvcl.datasets.dataset import Case, LabelTable
from dvcl.datasets.folders import label_file_near
from dvcl.datasets.label_file import read_label_table
from dvcl.datasets.masks import holds_masks, read_case_label
from dvcl.datasets.pairing import volumes_by_stem
from dvcl.errors import InputError, counted
from dvcl.evaluation.calibration_error import CalibrationCounts
from dvcl.evaluation.cases import TOLERANCE_MM, CaseScore, evaluate_case, evaluate_folders
from dvcl.evaluation.score_file import check_replaceable, write_scores
from dvcl.files import require_writable
from dvcl.inference.sliding_window import Window
from dvcl.locks import folder_lock
from dvcl.report.tables import percent
from dvcl.store import open_store
from dvcl.studies.members import Members
from dvcl.studies.project import Progress
from dvcl.studies.reliability import read_reliability, write_reliability
from dvcl.studies.run import Run
from dvcl.studies.scored import (
    prediction_of,
    predictions_folder,
    test_cases,
    write_run_scores,
)
from dvcl.training.checkpoint import saved_facts, weights_hash
from dvcl.volume import is_volume, read_label, read_segments


def check_options(predictions: Path, reference: Path | None, of_folder: bool, last: bool) -> None:
    """Refuse options of `dvcl evaluate` that do not go together.

    Args:
        predictions: A run, or a folder of label maps.
        reference: Folder of references, for a folder.
        of_folder: Whether options were given that are for a folder alone.
        last: Whether a run's last weights are asked for.

    Raises:
        InputError: Says which options do.
    """
    if reference and last:
        raise InputError(
            "evaluate: --last found with --reference DIR; a run's folder was expected with it, as "
            "label maps do not say which weights made them. Leave out one or the other."
        )
    if not reference and of_folder:
        raise InputError(
            "evaluate: --labels, --label-values, --cases and --out go with --reference DIR; a run "
            "brings its own names, and its scores are written into its folder."
        )
    if not reference and predictions.is_dir() and any(map(is_volume, predictions.iterdir())):
        raise InputError(
            f"{predictions}: is a folder of label maps, found without a reference; --reference DIR "
            "was expected with it, or a run's folder instead."
        )


def names_of_cases(text: str | None) -> tuple[str, ...]:
    """The cases of ``--cases``, which has commas between them; none without it.

    Raises:
        InputError: When a name is empty.
    """
    cases = () if text is None else tuple(name.strip() for name in text.split(","))
    if not all(cases):
        raise InputError(
            f"--cases {text!r}: an empty name found; names of references, with commas between "
            "them, were expected. Leave out --cases to score all."
        )
    return cases


def evaluate_run(
    run: Run,
    *,
    device: torch.device,
    window: Window | None = None,
    progress: Progress | None = None,
    tolerance_mm: float = TOLERANCE_MM,
    tell: Callable[[str], None] | None = None,
) -> list[CaseScore]:
    """Predict a run's test cases into ``predictions/`` and score them into ``cases.csv``.

    A run without test cases is scored on its validation cases. With the run's last weights: into
    ``predictions-last/`` and ``cases-last.csv``. ``tell`` is called with what is doubtful about the
    cases.

    Raises:
        InputError: When there is nothing to score, a case cannot be predicted, another process
            scores the run, or it goes on training and changes its weights.
    """
    folder = predictions_folder(run)
    require_writable(folder)
    with folder_lock(folder):
        weights = weights_hash(run.checkpoint)
        counts = CalibrationCounts.none(run.labels.classes)
        scores = _score_cases(run, counts, device, window, progress, tolerance_mm, tell)
        if weights_hash(run.checkpoint) != weights:
            raise InputError(
                f"{run.folder}: its weights changed while it was scored, as it goes on training. "
                "Evaluate it again when that has ended."
            )
        write_run_scores(run, scores, weights, tolerance_mm, window)
        write_reliability(run, counts, weights)
    return scores


def _score_cases(
    run: Run,
    counts: CalibrationCounts,
    device: torch.device,
    window: Window | None,
    progress: Progress | None,
    tolerance_mm: float,
    tell: Callable[[str], None] | None,
) -> list[CaseScore]:
    scores: list[CaseScore] = []
    problems: list[str] = []
    for case in test_cases(run):
        assert case.label is not None
        try:
            (made,) = predict_files(
                Members.of(run, window), {case.image: prediction_of(run, case)},
                device=device, progress=progress, tell=tell, look=_counting(run, case, counts),
            )  # fmt: skip
            volumes = read_case_label(case, run.labels), read_label(made.mask)
            scores += evaluate_case(case.id, *volumes, run.labels, tolerance_mm, case.unannotated)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(
            problems,
            f"{run.folder}: cases that cannot be scored (where files have moved, `dvcl "
            "prepare WORK --add DIR` takes their new place):",
        )
    return scores


def _counting(
    run: Run, case: Case, counts: CalibrationCounts
) -> Callable[[torch.Tensor], None] | None:
    """Holds probabilities against the prepared label; None where the prepared case is gone."""
    with suppress(InputError):
        stored = open_store(run.store).case(case.id)
        if stored.label is not None:
            label, annotated = np.asarray(stored.label), stored.annotated
            return lambda probabilities: counts.count(probabilities, label, annotated)
    return None


def told_reliability(run: Run) -> str:
    """The calibration error of a run that was evaluated, in a sentence."""
    counts = read_reliability(run, weights_hash(run.checkpoint))
    if counts is None or math.isnan(counts.mean_error):
        return "Calibration error: unknown, as the prepared cases are gone."
    return (
        f"Calibration error: {percent(counts.mean_error)} %, the mean over organs of how far "
        "probabilities are from how often they are right."
    )


def evaluate_last(run: Run, scores: list[CaseScore], **how: Any) -> list[CaseScore]:
    """Score the last weights as well; where the best ones are the last, their scores are the same.

    Args:
        run: Scored with its best weights.
        scores: These.
        how: As for `evaluate_run`.

    Raises:
        InputError: As `evaluate_run`, and when the run is not finished: no weights are its last.
    """
    if note := run.unfinished():
        raise InputError(f"--last: {note} Leave out --last until then.")
    last = replace(run, weights="last")
    best_at, last_at = (saved_facts(each.checkpoint).get("iteration") for each in (run, last))
    if best_at == last_at:
        given = {key: how[key] for key in ("tolerance_mm", "window") if key in how}
        write_run_scores(last, scores, weights_hash(last.checkpoint), **given)
        return scores
    return evaluate_run(last, **how)


def score_folder(
    predictions: Path,
    references: Path,
    labels: Path | None,
    out: Path,
    progress: Progress | None = None,
    tolerance_mm: float = TOLERANCE_MM,
    label_values: bool = False,
    cases: Sequence[str] = (),
) -> list[CaseScore]:
    """Score label maps against references of the same names, into a CSV file.

    Args:
        predictions: Folder of label maps.
        references: Folder of label maps or of folders with one mask per organ; or with labels/.
        labels: JSON file with organ names; without it a labels.json beside the references, and
            else their integers are the organs.
        out: The CSV file.
        progress: Called with cases done, cases in all, case.
        tolerance_mm: Of the normalised surface Dice.
        label_values: Trust the integers on both sides, also where files name their segments.
        cases: Names of the references to score; all of them if there is none.

    Raises:
        InputError: When cases are missing or do not fit, or ``out`` is there and holds no scores.
    """
    check_replaceable(out)
    folder = references / "labels" if (references / "labels").is_dir() else references
    around = folder.parent if folder.name == "labels" else folder
    named = labels or label_file_near(around)
    table = read_label_table(named) if named else _table_of(folder, label_values)
    scores = evaluate_folders(
        predictions, folder, table, progress, tolerance_mm, label_values, cases
    )
    write_scores(out, scores)
    return scores


def _table_of(folder: Path, label_values: bool) -> LabelTable:
    """The integers that occur in the references, named by themselves."""
    problems: list[str] = []
    references = volumes_by_stem(folder, problems, masks=True)
    if masks := [path for path in references.values() if holds_masks(path)]:
        problems.append(
            f"{masks[0]}: is one of {counted(len(masks), 'folder')} of masks, which have names, "
            "while label maps to be scored have integers; a file that says which is which was "
            "expected. Give it with --labels."
        )
    named = [path for path in references.values() if not label_values and read_segments(path)]
    if named:
        problems.append(
            f"{named[0]}: is one of {counted(len(named), 'reference')} that name their segments; a "
            "file that says which integer is which organ in the predictions was expected. Give it "
            "with --labels, or trust the integers on both sides with --label-values."
        )
    if problems:
        raise InputError(problems)
    values: set[int] = set()
    for path in references.values():
        try:
            values.update(np.unique(read_label(path).array).tolist())
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems, f"{folder}: references that cannot be read:")
    if not values - {0}:
        raise InputError(f"{folder}: no reference label map with an organ there; expected some.")
    return LabelTable.from_mapping({value: f"label {value}" for value in values - {0}})
