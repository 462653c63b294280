"""The run's diary."""

import json
import math

import pytest

from dvcl.errors import InputError
from dvcl.training.journal import Journal, last_iteration, read_journal


def filled(path, rows: int = 4) -> None:
    journal = Journal(path, 0)
    for iteration in range(1, rows + 1):
        journal.write("step", iteration, rate=0.1 / iteration)
    journal.close()


def test_rows_are_read_as_they_were_written(tmp_path):
    path, seen = tmp_path / "journal.jsonl", []
    journal = Journal(path, 0, seen.append)
    journal.write("step", 1, terms={"supervised": 0.5})
    journal.write("validation", 1, dice={"Leber": 0.25, "Nierenkörperchen": 1.0})
    # Readable while the run goes on.
    assert read_journal(path) == seen
    journal.close()
    assert seen[0] == {"kind": "step", "iteration": 1, "terms": {"supervised": 0.5}}
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2


def test_undefined_numbers_become_null(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, 0)
    journal.write("validation", 1, mean_dice=math.nan, dice={"a": math.nan, "b": 0.5}, c=math.inf)
    journal.close()
    row = json.loads(path.read_text())
    assert row["mean_dice"] is None
    assert row["dice"] == {"a": None, "b": 0.5}
    assert row["c"] is None


@pytest.mark.parametrize("resumed_at", [0, 2, 4, 9])
def test_rows_beyond_the_checkpoint_are_cut(tmp_path, resumed_at):
    path = tmp_path / "journal.jsonl"
    filled(path)
    Journal(path, resumed_at).close()
    assert [row["iteration"] for row in read_journal(path)] == list(
        range(1, min(resumed_at, 4) + 1)
    )


def test_a_damaged_line_in_the_middle_is_refused_and_nothing_is_lost(tmp_path):
    path = tmp_path / "journal.jsonl"
    filled(path)
    lines = path.read_text().splitlines()
    damaged = "\n".join([lines[0], lines[1][:9], *lines[2:], ""])
    path.write_text(damaged)
    with pytest.raises(InputError, match="journal.jsonl: line 2 is not valid JSON"):
        Journal(path, 4)
    assert path.read_text() == damaged


@pytest.mark.parametrize("rest", ['{"kind": "st', '{"kind": "step", "iteration": 5', "{", "\0\0\0"])
def test_a_half_written_last_line_is_dropped(tmp_path, rest):
    path = tmp_path / "journal.jsonl"
    filled(path)
    with path.open("a") as file:
        file.write(rest)
    assert len(read_journal(path)) == 4
    journal = Journal(path, 4)
    journal.write("step", 5)
    journal.close()
    assert [row["iteration"] for row in read_journal(path)] == [1, 2, 3, 4, 5]


def test_a_line_cut_in_the_middle_of_a_letter_is_dropped(tmp_path):
    path = tmp_path / "journal.jsonl"
    filled(path)
    with path.open("ab") as file:
        file.write(b'{"kind": "validation", "dice": {"Nierenk' + "ö".encode()[:1])
    assert len(read_journal(path)) == 4


def test_unusual_line_ends_inside_a_name_do_not_split_a_row(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, 0)
    journal.write("validation", 1, dice={"a\u2028b\x85c": 1.0})
    journal.close()
    assert read_journal(path)[0]["dice"] == {"a\u2028b\x85c": 1.0}


def test_no_journal_has_no_rows(tmp_path):
    assert read_journal(tmp_path / "journal.jsonl") == []


def test_the_last_iteration_is_found_at_the_end_of_a_long_journal(tmp_path):
    path = tmp_path / "journal.jsonl"
    assert last_iteration(path) == 0
    rows = "".join(f'{{"iteration": {n}, "padding": "{"x" * 90}"}}\n' for n in range(1, 2001))
    path.write_text(rows + '{"iteration": 2001, "pad')
    assert last_iteration(path) == 2000
    path.write_text("")
    assert last_iteration(path) == 0
