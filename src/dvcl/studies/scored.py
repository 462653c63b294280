"""What a run is tested on, where its label maps and scores lie, and whether these are its own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NotRequired, TypedDict

from dvcl.datasets.channels import CHANNEL_SUFFIX
from dvcl.datasets.dataset import Case
from dvcl.errors import InputError
from dvcl.evaluation.cases import TOLERANCE_MM, CaseScore
from dvcl.evaluation.score_file import read_scores, write_scores
from dvcl.files import sha256_of_bytes, sha256_of_json, write_json
from dvcl.inference.sliding_window import Window
from dvcl.records import read_record
from dvcl.studies.project import Project, open_project
from dvcl.studies.run import Run
from dvcl.training.checkpoint import weights_hash

SCORES = "cases.csv"
ORIGIN = "scores.json"
LAST_SCORES = "cases-last.csv"
LAST_ORIGIN = "scores-last.json"


class Origin(TypedDict):
    """scores.json: which weights made which scores; ``weights`` is null where they do not say.

    ``references`` is a hash of the label files, ``measured`` one of tolerance and windows; scores
    of earlier versions have neither.
    """

    weights: str | None
    scores: str
    references: NotRequired[str]
    measured: NotRequired[str]


def scores_file(run: Run) -> Path:
    """Of the weights that predict."""
    return run.folder / (SCORES if run.weights == "best" else LAST_SCORES)


def _origin(run: Run) -> Path:
    return run.folder / (ORIGIN if run.weights == "best" else LAST_ORIGIN)


def write_run_scores(
    run: Run,
    scores: Sequence[CaseScore],
    weights: str | None,
    tolerance_mm: float = TOLERANCE_MM,
    window: Window | None = None,
) -> None:
    """Write a run's scores, and beside them hashes of what made them.

    Args:
        run: That was scored.
        scores: Of its test cases.
        weights: Their hash, where they have one.
        tolerance_mm: Of the normalised surface Dice.
        window: Of the prediction; None for the recipe's.
    """
    write_scores(scores_file(run), scores)
    # Last: scores whose hash it does not have are not known to be of these weights.
    origin = Origin(
        weights=weights,
        scores=sha256_of_bytes(scores_file(run)),
        measured=_measured(run, tolerance_mm, window),
    )
    if references := _references(run):
        origin["references"] = references
    write_json(_origin(run), origin)


def _measured(run: Run, tolerance_mm: float, window: Window | None) -> str:
    return sha256_of_json([tolerance_mm, (window or run.recipe.window).to_json()])


def _references(run: Run) -> str | None:
    """Hash of the label maps; None where some are gone, as nothing can be told of them then."""
    labels = [case.label for case in test_cases(run) if case.label]
    files = [sorted(label.rglob("*")) if label.is_dir() else [label] for label in labels]
    with suppress(OSError):
        return sha256_of_json([sha256_of_bytes(file) for group in files for file in group])
    return None


def has_scores(folder: Path) -> bool:
    """Whether a run's folder has the score of a case, of whichever weights.

    Raises:
        InputError: When the scores are damaged.
    """
    return (folder / SCORES).exists() and bool(read_scores(folder / SCORES))


def is_scored(run: Run, as_usual: bool = False) -> bool:
    """Whether the run is trained to its end, and its scores are of the weights it has.

    They are not where a reference has changed since. Scores and weights of earlier versions do not
    say what made them; they are taken as they are. Damaged scores are none: they can be made again.

    Args:
        run: Of which the scores are.
        as_usual: Whether they must have been made with the usual tolerance and the recipe's
            windows, as those of other runs are.

    Raises:
        InputError: When state or weights are damaged.
    """
    path, origin = scores_file(run), _origin(run)
    if not path.exists() or run.unfinished():
        return False
    weights = weights_hash(run.checkpoint) if run.checkpoint.exists() else None
    with suppress(InputError):
        if not origin.exists():
            return bool(read_scores(path))
        with read_record(origin, Origin, "") as made:
            expected = {"scores": sha256_of_bytes(path)}
            if weights is not None:
                expected["weights"] = weights
            if references := _references(run):
                expected["references"] = references
            if as_usual:
                expected["measured"] = _measured(run, TOLERANCE_MM, None)
            is_own = all(made.get(key, value) == value for key, value in expected.items())
            return is_own and bool(read_scores(path))
    return False


def project_of(run: Run) -> Project:
    """The project that a run belongs to, in the edition that it has seen.

    Raises:
        InputError: When the run has been moved out of it.
    """
    return open_project(
        run.study(
            "Its test cases are unknown: move it back, or predict the scans and score them with "
            "--reference DIR."
        ),
        run.edition,
    )


def test_cases(run: Run) -> list[Case]:
    """The test cases of a run that have a reference, or its validation cases if it has none.

    Raises:
        InputError: When there is neither, or the study no longer has them.
    """
    for role in ("test", "validation"):
        if cases := held_out_cases(run, role):
            return cases
    raise InputError(
        f"{run.folder}: the run has neither test nor validation cases, so there is nothing to "
        "score. Predict some scans and score them with --reference DIR."
    )


def warning_of(run: Run) -> str:
    """Why scores of the run are too high; empty where it has test cases.

    Raises:
        InputError: As `held_out_cases`.
    """
    if held_out_cases(run, "test"):
        return ""
    return (
        f"{run.folder}: the run has no test cases, so its validation cases are scored. They chose "
        "the weights: expect less on new scans. Train with --test-share or --folds to hold some "
        "back, or score masks of other scans with --reference DIR."
    )


def held_out_cases(run: Run, role: str) -> list[Case]:
    """The "test" or "validation" cases of a run that have a reference.

    Raises:
        InputError: When the study no longer has them.
    """
    by_id = {case.id: case for case in project_of(run).dataset.cases}
    ids: tuple[str, ...] = getattr(run.split, role)
    gone = [case for case in ids if case not in by_id]
    if gone:
        raise InputError(
            f"{run.folder}: the study no longer has its cases {', '.join(gone)}. Prepare it "
            "again with the folders that the run was trained on."
        )
    return [by_id[case] for case in ids if by_id[case].label]


def predictions_folder(run: Run) -> Path:
    """Where the label maps by the run's weights lie."""
    return run.folder / ("predictions" if run.weights == "best" else "predictions-last")


def prediction_of(run: Run, case: Case) -> Path:
    """The label map that `evaluate_run` writes for a case, called as the case is."""
    folder = predictions_folder(run)
    # Earlier versions kept the channel of the image's name.
    earlier = folder / f"{case.id}{CHANNEL_SUFFIX}.nii.gz"
    return earlier if earlier.exists() else folder / f"{case.id}.nii.gz"
