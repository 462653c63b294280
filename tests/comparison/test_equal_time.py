"""Runs that take as long as each other, whatever a step of theirs takes."""

from dataclasses import replace

import pytest

from dvcl.comparison.equal_time import FILE, read_step_seconds, schedule, write_step_seconds
from dvcl.comparison.findings import collect
from dvcl.comparison.plan import plan
from dvcl.comparison.records import read_records, together, write_records
from dvcl.errors import InputError
from dvcl.training.optimisation import Training

TRAINING = Training(iterations=3000, validate_every=500, warmup=100)


def test_a_step_that_takes_four_times_as_long_is_made_a_quarter_as_often():
    assert schedule(TRAINING, 1.0) == (
        "training.iterations=3000", "training.validate_every=500", "training.warmup=100",
    )  # fmt: skip
    assert schedule(TRAINING, 0.25) == (
        "training.iterations=750", "training.validate_every=125", "training.warmup=100",
    )  # fmt: skip


@pytest.mark.parametrize("share", [1.0, 0.61, 0.249, 0.1, 0.0501])
def test_all_are_validated_as_often_and_warm_up_for_a_fifth_at_most(share):
    words = (change.rpartition(".")[2].split("=") for change in schedule(TRAINING, share))
    made = replace(TRAINING, **{key: int(value) for key, value in words})
    validations = -(-made.iterations // made.validate_every)
    assert validations == 6
    assert made.warmup <= 0.2 * made.iterations + 1


def test_what_was_measured_is_kept(tmp_path):
    assert read_step_seconds(tmp_path) == {}
    write_step_seconds(tmp_path, {"study: dvcl": 0.45})
    assert read_step_seconds(tmp_path) == {"study: dvcl": 0.45}
    (tmp_path / FILE).write_text("{}")
    with pytest.raises(InputError, match=r"equal_time\.json.*measured again"):
        read_step_seconds(tmp_path)


def test_runs_of_equal_time_are_a_group_of_their_own(tmp_path):
    given = ([tmp_path], ["dvcl"], [0], [4], {"methods.dvcl.neighbours": ["5"]}, "small-ct")
    (entry,) = plan(*given, equal="time")
    assert entry.group == "small-ct, 4 labelled, equal time, neighbours=5"
    assert entry.base == f"{tmp_path.name}: small-ct, 4 labelled, equal time"


def timed(record, steps):
    """The record as it would be with so many steps for equal time."""
    recipe = {**record.settings["recipe"], "training": {"rate": 0.1, "iterations": steps}}
    own = (f"training.iterations={steps}",)
    entry = replace(record.entry, schedule=own)
    return replace(record, entry=entry, settings={**record.settings, "recipe": recipe})


def test_they_are_compared_although_their_steps_differ(make_record, tmp_path):
    supervised = timed(make_record("supervised", {"a": 0.5, "b": 0.6}), 20)
    dvcl = timed(make_record("dvcl", {"a": 0.6, "b": 0.7}), 5)
    kept = together([supervised], [dvcl])
    assert [record.entry.method for record in kept] == ["supervised", "dvcl"]
    (found,) = collect(kept)
    assert set(found.runs) == {"supervised", "dvcl"}
    write_records(tmp_path, kept)
    assert [record.entry for record in read_records(tmp_path)] == [r.entry for r in kept]
    # With another schedule than that of equal time, they are not.
    other = replace(supervised, entry=replace(supervised.entry, schedule=()))
    assert together([other], [dvcl]) == [dvcl]
