"""What the pictures show: methods, cases, organs; chosen by rule, not by hand."""

import math
from pathlib import Path

import pytest

from dvcl.comparison.choice import (
    Chosen,
    check_chosen,
    hardest_organs,
    names,
    shown_methods,
    typical_case,
    worst_cases,
    worst_table,
)
from dvcl.comparison.findings import collect
from dvcl.datasets.dataset import Case, Dataset, LabelTable
from dvcl.errors import InputError


def found(make_record, **methods):
    (group,) = collect([make_record(name, dice) for name, dice in methods.items()])
    return group


def test_baseline_dvcl_and_the_best_others_are_shown_in_the_order_of_the_rows(make_record):
    group = found(make_record, dan={"a": 0.3}, cps={"a": 0.8}, supervised={"a": 0.1},
                  ccl={"a": 0.9}, dvcl={"a": 0.2})  # fmt: skip
    assert shown_methods(group) == ["cps", "supervised", "ccl", "dvcl"]
    assert shown_methods(group, ("dan", "cps", "bacon")) == ["dan", "cps"]


def test_the_typical_case_is_the_median_of_the_best_method(make_record):
    best = {"a": 0.9, "b": 0.5, "c": 0.8, "d": math.nan}
    group = found(make_record, supervised={"a": 0.0, "b": 0.1, "c": 0.2}, dvcl=best)
    assert typical_case(group) == "c"
    group = found(make_record, dvcl={"a": 0.9, "b": 0.5})
    assert typical_case(group) == "b", "of two the worse"


def test_the_worst_cases_are_those_of_all_methods_together(make_record):
    dice = {f"c{i}": 0.5 + i / 10 for i in range(4)} | {"odd": math.nan, "late": 0.95}
    other = dict.fromkeys(dice, 0.9) | {"late": 0.0, "c0": 0.9}
    group = found(make_record, supervised=dice, dvcl=other)
    assert worst_cases(group) == ["late", "c0", "c1", "c2", "c3"]
    table = worst_table(group)
    assert table.columns == ("Case", "Mean", "supervised", "dvcl")
    assert table.rows[0] == ("late", "47.50", "95.00", "0.00")


def test_the_hardest_organs_keep_the_order_of_the_label_table(make_record):
    record = make_record("dvcl", {"a": 0.9}, {"a": 0.2})
    (group,) = collect([record])
    assert hardest_organs(group, 1) == ["spleen"]
    assert hardest_organs(group) == ["liver", "spleen"]


def test_what_no_study_has_is_refused_all_at_once():
    labels = LabelTable.from_mapping({1: "liver"})
    data = [Dataset("ct", "CT", (Case("a", Path("a.nii")),), labels)]
    check_chosen(Chosen("a", ("dvcl",), ("liver",)), data)
    with pytest.raises(InputError) as error:
        check_chosen(Chosen("b", ("dcvl",), ("lung",)), data)
    assert len(error.value.problems) == 3
    with pytest.raises(InputError, match="6 methods found; at most 5"):
        check_chosen(Chosen(methods=("dvcl",) * 6), data)


def test_names_are_read_from_a_list_with_commas():
    assert names("left kidney, liver") == ("left kidney", "liver")
    assert names(None) == ()
