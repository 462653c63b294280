"""Records of finished runs: written, read back, put together."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from dvcl.comparison.plan import Entry
from dvcl.comparison.records import (
    CASES,
    LAST_CASES,
    RUNS,
    RunRecord,
    located,
    read_records,
    seconds_per_step,
    together,
    write_records,
)
from dvcl.errors import InputError
from dvcl.evaluation.cases import CaseScore


def record(method: str = "dvcl", seed: int = 0, rate: float = 0.1, dice: float = 0.1) -> RunRecord:
    return RunRecord(
        Entry(Path("study"), method, seed, 4, ("training.rate=0.1",), "five, rate=0.1"),
        hash=f"{method}{seed}{rate}",
        settings={"recipe": {"training": {"rate": rate}}, "split": {"test": ["a"]}},
        made_with={"torch": "2"},
        seconds_per_step=1 / 3,
        minutes=2.0,
        peak_mib=None,
        validation=[{"kind": "validation", "iteration": 5, "mean_dice": None, "dice": {"x": 0.5}}],
        scores=[CaseScore("a", "x", dice, 1 / 7, 1.0, 2.0), CaseScore("a", "y", *[math.nan] * 4)],
    )


def test_a_step_costs_what_it_takes_of_the_processor_where_runs_tell_that() -> None:
    old = record()
    new = [replace(record(seed=seed), processor_per_step=float(seed)) for seed in (1, 2, 6)]
    assert seconds_per_step([old, *new]) == 2, "never a mean of two clocks"
    assert seconds_per_step([old, old]) == 1 / 3


def test_a_step_costs_what_it_takes_on_the_device_that_most_runs_had() -> None:
    gpu = replace(record(), made_with={"device": "cuda A"}, seconds_per_step=0.1)
    cpu = replace(record(), made_with={"device": "cpu B"}, processor_per_step=2.0)
    assert seconds_per_step([gpu, cpu, gpu]) == 0.1
    assert seconds_per_step([cpu, gpu, cpu]) == 2


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    records = [record(seed=0), replace(record(seed=1), processor_per_step=0.2), record("cps")]
    write_records(tmp_path, records)
    found = read_records(tmp_path)
    assert repr(found) == repr(records), "equal to the last digit, NaN included"
    assert (tmp_path / RUNS).read_text().count('"rate": 0.1') == 1, "shared settings once"


def test_scores_of_the_last_weights_are_kept_beside_and_older_records_lack_them(
    tmp_path: Path,
) -> None:
    records = [record(seed=0), replace(record(seed=1), last=record(dice=0.3).scores)]
    write_records(tmp_path, records)
    assert repr(read_records(tmp_path)) == repr(records)
    write_records(tmp_path, records[:1])
    assert not (tmp_path / LAST_CASES).exists(), "no scores of runs that are not there"
    write_records(tmp_path, records)
    lines = (tmp_path / LAST_CASES).read_text().replace(",1,", ",7,")
    (tmp_path / LAST_CASES).write_text(lines)
    with pytest.raises(InputError, match=r"scores-last.csv do not tell of the same runs"):
        read_records(tmp_path)


def test_a_run_made_again_counts_as_it_is_now_and_others_stay() -> None:
    old = [record("cps"), record(seed=0, dice=0.1), record(seed=1)]
    found = together(old, [record(seed=0, dice=0.9), record(seed=2)])
    assert [(r.entry.method, r.entry.seed) for r in found] == [
        ("cps", 0), ("dvcl", 0), ("dvcl", 1), ("dvcl", 2),
    ]  # fmt: skip
    assert found[1].scores[0].dice == 0.9


def test_runs_of_a_group_whose_settings_changed_are_left_out() -> None:
    elsewhere = record("cps")
    elsewhere = replace(elsewhere, entry=replace(elsewhere.entry, group="other"))
    found = together([record("cps"), elsewhere], [record(rate=0.2)])
    assert [(r.entry.group, r.entry.method) for r in found] == [
        ("other", "cps"), ("five, rate=0.1", "dvcl"),
    ]  # fmt: skip


def test_one_methods_settings_do_not_concern_another() -> None:
    """Varied by the same name, methods.ccl.contrast and methods.dvcl.contrast share a group."""

    def varied(method: str, contrast: float, seed: int = 0) -> RunRecord:
        found = record(method, seed)
        methods = {method: {"contrast": contrast}}
        recipe = {**found.settings["recipe"], "methods": methods}
        return replace(found, settings={**found.settings, "recipe": recipe})

    old = [varied("ccl", 0.0), varied("dvcl", 0.5, seed=1)]
    found = together(old, [varied("dvcl", 0.0)])
    assert [(r.entry.method, r.entry.seed) for r in found] == [("ccl", 0), ("dvcl", 0)]


def test_records_find_their_studies_by_name() -> None:
    here, elsewhere = record(), record("cps")
    elsewhere = replace(elsewhere, entry=replace(elsewhere.entry, study=Path("other")))
    found = located([here, elsewhere], [Path("/data/study")])
    assert [r.entry.study for r in found] == [Path("/data/study"), Path("other")]
    assert [r.key for r in found] == [here.key, elsewhere.key], "the same runs"


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_records(tmp_path)
    write_records(tmp_path, [record("cps"), record("dvcl")])
    lines = (tmp_path / CASES).read_text().splitlines(keepends=True)
    (tmp_path / CASES).write_text("".join(line for line in lines if ",cps," not in line))
    with pytest.raises(InputError, match=r"only in one of them: study: five.*cps, seed 0"):
        read_records(tmp_path)
    (tmp_path / CASES).write_text("a,b\n")
    with pytest.raises(InputError, match="its columns are a, b"):
        read_records(tmp_path)
