"""What a run is scored on, and what is said of it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dvcl.datasets.dataset import Case
from dvcl.studies import scored


@pytest.mark.parametrize(
    ("test", "labelled", "warns"),
    [(("a",), True, False), ((), True, True), (("a",), False, True)],
)
def test_a_run_without_test_cases_is_scored_on_others_and_warned_of(
    monkeypatch: pytest.MonkeyPatch, test: tuple[str, ...], labelled: bool, warns: bool
) -> None:
    """A test case without a label cannot be scored either."""
    labels = {"a": Path("a.nii.gz") if labelled else None, "b": Path("b.nii.gz")}
    cases = [SimpleNamespace(id=name, label=label) for name, label in labels.items()]
    project = SimpleNamespace(dataset=SimpleNamespace(cases=cases))
    monkeypatch.setattr(scored, "project_of", lambda run: project)
    split = SimpleNamespace(test=test, validation=("b",))
    run = SimpleNamespace(folder=Path("run"), split=split)
    assert [case.id for case in scored.test_cases(run)] == ["b" if warns else "a"]
    assert ("validation cases are scored" in scored.warning_of(run)) == warns


def test_masks_of_a_run_are_called_as_its_cases_are(tmp_path: Path) -> None:
    """Images may all have one name (CASE/ct.nii.gz); masks of earlier versions are found."""
    run: Any = SimpleNamespace(folder=tmp_path, weights="best")
    cases = [Case(id, tmp_path / id / "ct.nii.gz") for id in ("a", "b")]
    assert [scored.prediction_of(run, case).name for case in cases] == ["a.nii.gz", "b.nii.gz"]
    earlier = tmp_path / "predictions" / "a_0000.nii.gz"
    earlier.parent.mkdir()
    earlier.touch()
    assert [scored.prediction_of(run, case) for case in cases[:1]] == [earlier]
