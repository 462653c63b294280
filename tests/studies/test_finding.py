"""A run by as little of its path as is unique."""

from pathlib import Path

import pytest

from dvcl.errors import InputError
from dvcl.studies import finding

RUNS = ("small-ct/dvcl/seed-0", "small-ct/dvcl/seed-1", "small-ct/cps/seed-0", "other/cps/seed-0")


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study with the files that tell it, whose runs are opened as their own folders."""
    monkeypatch.setattr(finding, "open_run", lambda folder: folder)
    (tmp_path / "project.json").write_text("{}")
    for run in RUNS:
        (tmp_path / "runs" / run).mkdir(parents=True)
        (tmp_path / "runs" / run / "run.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "run"),
    [
        ("runs/small-ct/dvcl/seed-1", RUNS[1]),
        ("dvcl/seed-1", RUNS[1]),
        ("seed-1", RUNS[1]),
        ("small-ct/cps", RUNS[2]),
        ("runs/small-ct/cps", RUNS[2]),
        ("other", RUNS[3]),
    ],
)
def test_enough_of_the_path_is_enough(work: Path, words: str, run: str) -> None:
    assert finding.find_run(work / words) == work / "runs" / run


@pytest.mark.parametrize(
    ("words", "told", "listed"),
    [
        ("", "fits 4 runs", RUNS),
        ("cps", "fits 2 runs", RUNS[2:]),
        ("dvcl/small-ct", "fits none", RUNS),  # not in this order
        ("bcp", "fits none", RUNS),
    ],
)
def test_what_is_not_unique_lists_the_runs(
    work: Path, words: str, told: str, listed: tuple[str, ...]
) -> None:
    with pytest.raises(InputError) as error:
        finding.find_run(work / words)
    assert told in str(error.value)
    assert [run for run in RUNS if str(work / "runs" / run) in str(error.value)] == [*listed]


def test_a_study_with_one_run_is_that_run(work: Path) -> None:
    for run in RUNS[1:]:
        (work / "runs" / run / "run.json").unlink()
    assert finding.find_run(work) == work / "runs" / RUNS[0]
    (work / "runs" / RUNS[0] / "run.json").unlink()
    with pytest.raises(InputError, match="has no run yet"):
        finding.find_run(work)


def test_what_lies_in_no_study_is_the_folder_itself(work: Path, tmp_path_factory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert finding.find_run(elsewhere) == elsewhere
