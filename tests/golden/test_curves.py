"""Every method takes the twenty steps that are on record; see record.py."""

import importlib.util
from pathlib import Path

import pytest

from dvcl.methods import METHODS


def load_record():
    path = Path(__file__).parent / "record.py"
    spec = importlib.util.spec_from_file_location("golden_record", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


record = load_record()
every_row = pytest.mark.parametrize("row", record.ROWS)
REMEDY = f"If this change of the mathematics is meant, record it: {record.COMMAND}"


@every_row
def test_twenty_steps_are_those_on_record(row):
    problems = record.differences(record.read(row), record.curve(row))
    assert not problems, (
        f"{row}, {problems[0]}; {len(problems)} numbers differ. {REMEDY} {record.ROWS[row][0]}"
    )


@every_row
def test_every_term_on_record_is_at_work(row):
    steps = [terms for place, terms in record.read(row).items() if place.startswith("step")]
    assert len(steps) == record.TRAINING.iterations
    for term in set().union(*steps):
        values = [terms[term] for terms in steps if term in terms]
        assert any(values), term
        assert len(set(values)) > len(values) / 2, term


def test_rows_cover_all_methods_and_every_file_is_of_a_row():
    assert {method for method, *_ in record.ROWS.values()} == set(METHODS)
    files = {path.name for path in record.FOLDER.iterdir() if path.suffix not in (".py", ".pyc")}
    files.discard("__pycache__")
    assert files == {f"{row}.txt" for row in record.ROWS}, REMEDY


def test_every_alternative_takes_steps_of_its_own():
    texts = {record.path_of(row).read_text() for row in record.ROWS}
    assert len(texts) == len(record.ROWS)


def test_a_difference_names_its_step_and_term():
    expected = {"step 1": {"supervised": 2.0}, "step 2": {"supervised": 1.0, "contrast": 0.5}}
    found = {"step 1": {"supervised": 2.0 + 1e-7}, "step 2": {"supervised": 1.1, "other": 0.5}}
    assert record.differences(expected, found) == [
        "step 2, supervised: 1 expected, 1.1 found",
        "step 2, contrast: 0.5 expected, nan found",
        "step 2, other: nan expected, 0.5 found",
    ]


def test_a_swap_of_neighbours_ends_the_comparison_and_nothing_else_does():
    expected = {
        "step 1": {"supervised": 2.0, "distance": 0.5},
        "step 2": {"supervised": 1.0, "distance": 0.5},
    }
    swapped = {"supervised": 2.0, "distance": 0.501}
    later = {"supervised": 1.1, "distance": 0.6}
    assert record.differences(expected, {"step 1": swapped, "step 2": later}) == []
    for other in ({"supervised": 2.0, "distance": 0.51}, {"supervised": 2.001, "distance": 0.501}):
        assert len(record.differences(expected, {"step 1": other, "step 2": later})) >= 3


def test_the_command_writes_what_is_named_and_removes_what_is_no_row(tmp_path, monkeypatch):
    kept = record.path_of("supervised-vnet").read_text()
    monkeypatch.setattr(record, "FOLDER", tmp_path)
    (tmp_path / "gone.txt").write_text("step 1: supervised 1\n")
    values = {"step 1": {"supervised": 1 / 3, "a term": -2e-20}}
    monkeypatch.setattr(record, "curve", lambda row: values)
    record.main(["supervised", "dvcl-kl"])
    written = {path.stem for path in tmp_path.iterdir()}
    assert written == {"supervised", "supervised-vnet", "dvcl-kl"}
    text = record.path_of("dvcl-kl").read_text()
    assert text == "step 1: supervised 0.333333333333, a term -2e-20\n" != kept
    assert record.differences(record.read("dvcl-kl"), values) == []
    with pytest.raises(SystemExit, match="dvlc: no such row"):
        record.main(["dvlc"])
