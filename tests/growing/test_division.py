"""Every edition of a study is validated and tested with the same cases."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dvcl.splits import Split
from dvcl.studies.divide import divide, with_division
from dvcl.studies.project import open_project

SHARES = {"test_share": 0.25, "validation_share": 0.25}


@pytest.fixture
def grown(tmp_path: Path, prepare, scan, dvcl) -> Path:
    """A study of eight labelled scans; then of four more, then of two more."""
    for id in "abcdefgh":
        scan(tmp_path / "few", id)
    (tmp_path / "labels.json").write_text('{"1": "aorta", "2": "liver"}')
    work = tmp_path / "work"
    prepare(work, "--labelled", tmp_path / "few")
    for folder, ids in {"more": "ijkl", "most": "mn"}.items():
        for id in ids:
            scan(tmp_path / folder, id)
        dvcl("prepare", work, "--workers=1", "--add", tmp_path / folder)
    return work


def split_of(work: Path, edition: int, **given: object) -> Split:
    project = open_project(work, edition)
    return divide(project, with_division(project.load_recipe(), given))


@pytest.mark.parametrize("seed", range(3))
def test_added_scans_are_for_training(grown: Path, seed: int) -> None:
    first, second, third = (split_of(grown, n, seed=seed, **SHARES) for n in (1, 2, 3))
    assert len(first.test) == len(first.validation) == 2
    assert first.test == second.test == third.test
    assert first.validation == second.validation == third.validation
    assert {*second.labelled} == {*first.labelled, *"ijkl"}
    assert {*third.labelled} == {*second.labelled, *"mn"}
    assert "Cases for validation and test are those of earlier editions." in third.note
    few = split_of(grown, 3, seed=seed, labelled_cases=10, **SHARES)
    assert (few.test, few.validation, len(few.labelled)) == (first.test, first.validation, 10)


def test_every_case_is_in_one_fold(grown: Path) -> None:
    tests = [split_of(grown, 3, folds=2, fold=fold).test for fold in (0, 1)]
    assert sorted(sum(tests, ())) == [*"abcdefghijklmn"]


def test_a_run_goes_on_from_one_of_an_earlier_edition(
    grown: Path, train: Callable[..., str]
) -> None:
    train(grown, "--edition", "1", "--name=first")
    donor = grown / "runs" / "first" / "supervised" / "seed-0"
    said = train(grown, "--from", donor, "--name=second")
    assert "Cases for validation are those of earlier editions." in said
    assert "left out" not in said


def test_what_an_older_split_leaves_out_is_told(grown: Path, train: Callable[..., str]) -> None:
    train(grown, "--edition", "1", "--name=first")
    split = grown / "runs" / "first" / "supervised" / "seed-0" / "split.json"
    said = train(grown, "--split", split, "--name=second")
    assert "The split given leaves out i, j, k, l, m and 1 more of the study." in said
