"""What a run is tested on, and where its label maps and scores lie."""

from __future__ import annotations

from pathlib import Path

from dvcl.datasets.dataset import Case
from dvcl.errors import InputError
from dvcl.studies.project import Project, open_project
from dvcl.studies.run import Run
from dvcl.volume import volume_stem

SCORES = "cases.csv"


def project_of(run: Run) -> Project:
    """The project that a run belongs to.

    Raises:
        InputError: When the run has been moved out of it.
    """
    return open_project(
        run.study(
            "Its test cases are unknown: move it back, or predict the scans and score them with "
            "--reference DIR."
        )
    )


def test_cases(run: Run) -> list[Case]:
    """The test cases of a run that have a reference, or its validation cases if it has none.

    Raises:
        InputError: When there is neither, or the study no longer has them.
    """
    by_id = {case.id: case for case in project_of(run).dataset.cases}
    for ids in (run.split.test, run.split.validation):
        gone = [case for case in ids if case not in by_id]
        if gone:
            raise InputError(
                f"{run.folder}: the study no longer has its cases {', '.join(gone)}. Prepare it "
                "again with the folders that the run was trained on."
            )
        cases = [by_id[case] for case in ids if by_id[case].label]
        if cases:
            return cases
    raise InputError(
        f"{run.folder}: the run has neither test nor validation cases, so there is nothing to "
        "score. Predict some scans and score them with --reference DIR."
    )


def prediction_of(run: Run, case: Case) -> Path:
    """The label map that `evaluate_run` wrote for a case."""
    return run.folder / "predictions" / f"{volume_stem(case.image)}.nii.gz"
