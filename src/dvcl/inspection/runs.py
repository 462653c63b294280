"""Which runs are looked at together, what they are called, and the cases that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Literal

import numpy as np

from dvcl.errors import InputError, counted
from dvcl.evaluation.feature_space import NOBODY
from dvcl.store import StoredCase, open_store
from dvcl.studies.finding import find_run
from dvcl.studies.run import Run

Role = Literal["test", "validation"]


def open_runs(folders: Sequence[Path], names: Sequence[str]) -> dict[str, Run]:
    """Runs by what they are called: ``names``, or their methods, with more where these repeat.

    Raises:
        InputError: When a folder is no trained run, occurs twice, or the names do not fit.
    """
    runs = [find_run(folder) for folder in folders]
    untrained = [run.checkpoint for run in runs if not run.checkpoint.exists()]
    if untrained:
        raise InputError(
            [
                f"{path}: no such checkpoint. Train first, or leave this run out."
                for path in untrained
            ]
        )
    titles = [run.method for run in runs]
    parts = [run.folder.absolute().parents[1].name.split("_") for run in runs]
    # What the names of all groups begin with tells no run from another.
    alike = takewhile(lambda part: len(set(part)) == 1, zip(*parts, strict=False))
    shared = len(list(alike))
    tails = ["_".join(own[shared:]) for own in parts]
    groups = [
        f"{run.method}, {tail}" if tail else run.method
        for run, tail in zip(runs, tails, strict=True)
    ]
    seeds = [f"{group}, seed {run.seed}" for group, run in zip(groups, runs, strict=True)]
    for longer in (groups, seeds):
        titles = [
            more if titles.count(title) > 1 else title
            for title, more in zip(titles, longer, strict=True)
        ]
    titles = list(names) or titles
    if len(titles) != len(runs) or len(set(titles)) != len(titles) or "" in titles:
        raise InputError(
            f"inspect: the names {titles} found for {counted(len(runs), 'run')}; as many different "
            "ones were expected. Name each run once, and give --names, with commas, where runs of "
            "several studies are called the same."
        )
    return dict(zip(titles, runs, strict=True))


def shared_cases(runs: Mapping[str, Run], role: Role) -> list[StoredCase]:
    """The prepared cases that all runs were tested (or validated) on, with labels.

    Raises:
        InputError: When there are none, or the runs differ in them; lists every difference.
    """
    (title, first), *others = runs.items()
    cases = _cases(first, role)
    problems = []
    for name, run in others:
        if run.labels != first.labels:
            problems.append(f"{name}: other organs, {run.labels.names}, not {first.labels.names}.")
        elif run.recipe.preprocessing != first.recipe.preprocessing:
            problems.append(f"{name}: prepared with other settings than {title}.")
        elif _scans(_cases(run, role)) != _scans(cases):
            problems.append(f"{name}: other {role} cases than {title}, by id or by content.")
    if problems:
        raise InputError(
            problems,
            "inspect: voxels of the same cases are compared, so all runs must share organs, "
            f"preparation and {role} cases. Look at these runs by themselves:",
        )
    return cases


def truth(case: StoredCase) -> np.ndarray:
    """Class indices (D, H, W) uint8; `NOBODY` where an organ that is not annotated may lie."""
    assert case.label is not None
    label = np.asarray(case.label)
    return label if case.annotated is None else np.where(label > 0, label, np.uint8(NOBODY))


def default_folder(run: Run) -> Path:
    """``STUDY/inspections/NAME`` for a run ``STUDY/runs/NAME/<method>/seed-<n>``.

    Raises:
        InputError: When the run does not lie in its study.
    """
    study = run.study("Say with --out where the figures shall go.")
    return study / "inspections" / run.folder.absolute().parents[1].name


def _cases(run: Run, role: Role) -> list[StoredCase]:
    store = open_store(run.store)
    chosen = [store.case(case) for case in getattr(run.split, role)]
    labelled = [case for case in chosen if case.label_source]
    if not labelled:
        other = "validation" if role == "test" else "test"
        raise InputError(
            f"{run.folder}: the run has no {role} case with a label. Take --cases {other}, or "
            "train with some."
        )
    return labelled


def _scans(cases: Sequence[StoredCase]) -> dict[str, str]:
    return {case.id: case.fingerprint.voxels_sha256 for case in cases}
