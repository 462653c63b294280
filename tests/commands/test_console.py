"""Progress of work that is counted anew for every case."""

from __future__ import annotations

import pytest

from dvcl.commands import console


def test_a_bar_counts_the_cases_whose_windows_it_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    original = console.Progress.update

    def update(self, task, *, note, **rest):
        notes.append(note)
        original(self, task, note=note, **rest)

    monkeypatch.setattr(console.Progress, "update", update)
    with console.bars() as bar:
        progress = bar("Predicting")
        # The second case begins beyond where the first ended: its first windows are air.
        for done, total, case in ((20, 45, "a"), (45, 45, "a"), (46, 56, "b"), (56, 56, "b[red]")):
            progress(done, total, case)
    assert notes == ["a", "a", "b (case 2)", "b\\[red] (case 2)"]


def test_a_bar_over_cases_is_one_bar() -> None:
    with console.bars() as bar:
        progress = bar("Preparing")
        for done, case in enumerate("abc", start=1):
            progress(done, 3, case)


def test_nothing_is_shown_of_a_bar_that_never_began(capsys: pytest.CaptureFixture[str]) -> None:
    with console.bars() as bar:
        bar("Scoring")
    assert capsys.readouterr().out == ""
