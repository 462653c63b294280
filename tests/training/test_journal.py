"""The run's diary."""

import json
import math

import pytest

from dvcl.errors import InputError
from dvcl.training.journal import Journal, last_iteration, read_journal

STEP = {"terms": {"supervised": 0.5}, "rate": 0.1, "seconds": 0.25}
VALIDATION = {"seconds": 1.5, "mean_dice": None, "dice": {}}


def filled(path, rows: int = 4) -> None:
    journal = Journal(path, 0)
    for iteration in range(1, rows + 1):
        journal.write("step", iteration, **STEP)
    journal.close()


def test_rows_are_read_as_they_were_written(tmp_path):
    path, seen = tmp_path / "journal.jsonl", []
    journal = Journal(path, 0, seen.append)
    journal.write("step", 1, **STEP)
    journal.write("validation", 1, **VALIDATION | {"dice": {"Leber": 0.25, "Niere": 1.0}})
    # Readable while the run goes on.
    assert read_journal(path) == seen
    journal.close()
    assert seen[0] == {"kind": "step", "iteration": 1, **STEP}
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
    with pytest.raises(InputError, match="journal.jsonl: line 2 is no row of a journal"):
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
    journal.write("step", 5, **STEP)
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
    journal.write("validation", 1, **VALIDATION | {"dice": {"a\u2028b\x85c": 1.0}})
    journal.close()
    assert read_journal(path)[0]["dice"] == {"a\u2028b\x85c": 1.0}


def test_no_journal_has_no_rows(tmp_path):
    assert read_journal(tmp_path / "journal.jsonl") == []


def test_the_last_iteration_is_found_at_the_end_of_a_long_journal(tmp_path):
    path = tmp_path / "journal.jsonl"
    assert last_iteration(path) == 0
    long = {"kind": "step", **STEP, "padding": "x" * 90}
    rows = "".join(f"{json.dumps(long | {'iteration': n})}\n" for n in range(1, 2001))
    path.write_text(rows + '{"iteration": 2001, "pad')
    assert last_iteration(path) == 2000
    path.write_text("")
    assert last_iteration(path) == 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"iteration": "7"}, "iteration: '7' found"),
        ({"iteration": -1}, "iteration: -1 found"),
        ({"kind": "stop"}, "a row of kind step or validation expected"),
        ({"kind": "validation"}, "a table with mean_dice expected"),
        ({"terms": [0.5]}, r"terms: \[0.5\] found, a table expected"),
        ({"terms": {"a": "b"}}, "terms.a: 'b' found"),
        ({"seconds": None}, "seconds: None found"),
    ],
)
def test_a_row_that_is_valid_json_but_no_row_is_named(tmp_path, change, told):
    path = tmp_path / "journal.jsonl"
    row = {"kind": "step", "iteration": 1, **STEP}
    path.write_text(f"{json.dumps(row)}\n{json.dumps(row | change)}\n")
    with pytest.raises(InputError, match=f"journal.jsonl: line 2 is no row.*{told}"):
        read_journal(path)
    assert last_iteration(path) == 1, "how far it is, is told by what can be read"
