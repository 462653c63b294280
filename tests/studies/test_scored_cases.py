"""What a run is scored on, and what is said of it."""

from pathlib import Path
from types import SimpleNamespace

import pytest

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
