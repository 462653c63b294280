"""Progress of work that is counted anew for every case."""

from __future__ import annotations

import io

import pytest

from dvcl.commands import console
from dvcl.report.tables import TextTable, to_rich


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


def test_a_term_that_taught_nothing_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with console.training_bar("Training", 4) as observe:
        for iteration in (1, 2, 3, 4):
            milestone = {"gradient_norms": {}} if iteration % 2 == 0 else {}
            terms = {"supervised": 1.0, "hqc": 0.0 if iteration < 3 else 0.5}
            observe({"kind": "step", "iteration": iteration, "terms": terms, **milestone})
    told = [line for line in capsys.readouterr().out.splitlines() if "taught nothing" in line]
    assert len(told) == 1
    assert "iteration 2: the term hqc was 0 in every one of 2 steps" in told[0]


def test_in_a_file_a_table_is_as_wide_as_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    written = io.StringIO()
    columns = ("Organ", *(f"method{number}" for number in range(40)))
    cells = ("liver", *(f"{number}.25" for number in range(40)))
    console._Console(file=written).print(to_rich(TextTable(columns, (cells,), "What it is. " * 40)))
    lines = [line.split() for line in written.getvalue().splitlines()]
    assert [*columns] in lines
    assert [*cells] in lines


def test_a_log_says_what_is_trained_when_it_begins(capsys: pytest.CaptureFixture[str]) -> None:
    with console.training_bar("Training dvcl", 4) as observe:
        assert capsys.readouterr().out == ""
        observe({"kind": "step", "iteration": 1, "terms": {"supervised": 1.0}})
        assert capsys.readouterr().out == "Training dvcl: 4 steps.\n"
