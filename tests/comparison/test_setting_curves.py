"""The curve of a setting: every value that was tried, and the unchanged one."""

import pytest

from dvcl.comparison.findings import collect
from dvcl.comparison.setting_curves import setting_curves, setting_value
from dvcl.recipe import method_settings


def variants(records):
    return next(found for found in collect(records) if found.variants)


def varied(make_record, *values):
    dice = {"a": 0.5, "b": 0.7}
    return [
        make_record("dvcl", dice, varied=(f"methods.dvcl.neighbours={value}",)) for value in values
    ]


def test_the_unchanged_run_has_its_place_among_the_values(make_record):
    records = [make_record("dvcl", {"a": 0.7, "b": 0.8}), *varied(make_record, "5", "20")]
    (curve,) = setting_curves(variants(records)).values()
    default = str(method_settings("dvcl")["neighbours"][1])
    assert curve.unchanged == {default}
    means = {value: spread.mean for value, spread in curve.lines["dvcl"].items()}
    assert means == pytest.approx({"5": 0.6, "20": 0.6, default: 0.75})
    jaccard = {value: spread.mean for value, spread in curve.jaccard["dvcl"].items()}
    assert jaccard == pytest.approx({"5": 0.3, "20": 0.3, default: 0.375})


def test_the_points_of_a_curve_have_the_same_seeds(make_record):
    seeds = [make_record("dvcl", {"a": dice}, seed=seed) for seed, dice in enumerate((0.5, 0.9))]
    (curve,) = setting_curves(variants([*seeds, *varied(make_record, "5")])).values()
    means = sorted(spread.mean for spread in curve.lines["dvcl"].values())
    assert means == pytest.approx([0.5, 0.6])


def test_a_value_that_was_tried_is_not_drawn_twice(make_record):
    records = [make_record("dvcl", {"a": 0.7}), *varied(make_record, "5", "10.0")]
    (curve,) = setting_curves(variants(records)).values()
    assert set(curve.lines["dvcl"]) == {"5", "10.0"}
    assert curve.unchanged == {"10.0"}


def test_a_curve_for_each_setting_and_none_for_what_was_varied_together(make_record):
    together = make_record(
        "dvcl", {"a": 0.5}, varied=("methods.dvcl.alpha=1", "methods.dvcl.beta=2")
    )
    alone = make_record("supervised", {"a": 0.5}, varied=("training.rate=0.5",))
    found = setting_curves(variants([together, *varied(make_record, "5"), alone]))
    assert list(found) == ["methods.dvcl.neighbours", "training.rate"]
    assert list(found["methods.dvcl.neighbours"].lines) == ["dvcl"]


def test_what_record_and_code_do_not_tell_is_unknown(make_record):
    record = make_record("dvcl", {"a": 0.5})
    assert setting_value(record, "training.rate") == "0.1"
    assert setting_value(record, "training.nothing") is None
    assert setting_value(record, "methods.cps.consistency") is None, "no setting of dvcl"
    old = make_record("dvcl", {"a": 0.5}, made_with={"dvcl": "0.0.1"})
    assert setting_value(old, "methods.dvcl.neighbours") is None, "it may have been another"
