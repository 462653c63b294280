"""Groups and variants of a comparison, and what is held against what."""

from dvcl.comparison.findings import UNCHANGED, collect, twins_of
from dvcl.evaluation.statistics import compare_pairs

LOW = {f"c{i}": 0.5 + i / 100 for i in range(6)}
HIGH = {case: dice + 0.1 + i / 1000 for i, (case, dice) in enumerate(LOW.items())}
BEST = {case: dice + 0.2 + i / 1000 for i, (case, dice) in enumerate(LOW.items())}
FIVE = ("methods.dvcl.neighbours=5",)
NONE = ("methods.dvcl.contrast=0.0",)


def test_methods_are_held_against_supervised_with_all_their_seeds(make_record):
    seeds = {0: (HIGH, LOW), 1: (BEST, LOW)}
    records = [
        make_record(method, dice, seed=seed)
        for seed, pair in seeds.items()
        for method, dice in zip(("dvcl", "supervised"), pair, strict=True)
    ]
    (found,) = collect(records)
    assert found.title == "study: five"
    assert found.reference == "supervised"
    expected = compare_pairs({"dvcl": ([HIGH, BEST], [LOW, LOW])})
    assert found.paired == expected
    assert found.paired["dvcl"].trainings == 2


def test_tables_name_the_cases_that_were_scored(make_record):
    split = {"labelled": ["l"], "unlabelled": [], "validation": list(LOW), "test": []}
    tested, validated = (
        [make_record("supervised", LOW, **rest), make_record("dvcl", HIGH, **rest)]
        for rest in ({}, {"settings": {"split": split}})
    )
    mixed = tested[:1] + validated[1:]
    expected = {"test": tested, "validation": validated, "test or validation": mixed}
    for part, records in expected.items():
        (found,) = collect(records)
        assert f"averaged over its {part} cases first" in found.means.caption
        assert f"mean over the {part} cases that have the organ" in found.organs.caption
    cases = dict.fromkeys(LOW, 0.5)
    twins = [make_record(name, cases, settings={"split": split}) for name in ("supervised", "cps")]
    ((answer, table),) = twins_of(twins)
    assert "6 validation cases" in answer
    assert table.caption.startswith("Dice of the validation cases that have the organ")


def test_what_has_more_seeds_is_compared_on_those_of_both(make_record):
    records = [
        make_record("supervised", LOW), make_record("dvcl", HIGH), make_record("dvcl", BEST, seed=1)
    ]  # fmt: skip
    (found,) = collect(records)
    assert found.paired == compare_pairs({"dvcl": ([HIGH], [LOW])})
    others = [records[0], records[2]]
    assert collect(others)[0].paired == compare_pairs({"dvcl": ([BEST], [LOW])}), "none is shared"


def test_variants_of_one_method_are_one_table_against_the_unchanged_one(make_record):
    records = [
        make_record("supervised", LOW), make_record("dvcl", LOW),
        make_record("dvcl", HIGH, varied=FIVE), make_record("dvcl", BEST, varied=NONE),
    ]  # fmt: skip
    group, variants = collect(records)
    assert not group.variants
    assert list(group.runs) == ["supervised", "dvcl"]
    assert (variants.title, variants.base) == ("study: five, variants", group.base)
    assert list(variants.runs) == ["dvcl", "dvcl (neighbours=5)", "dvcl (contrast=0.0)"]
    assert variants.reference == UNCHANGED
    expected = compare_pairs(
        {"dvcl (neighbours=5)": ([HIGH], [LOW]), "dvcl (contrast=0.0)": ([BEST], [LOW])}
    )
    assert variants.paired == expected
    assert "Against the same method unchanged" in variants.differences.caption


def test_settings_of_two_methods_by_the_same_name_make_no_group(make_record):
    records = [
        make_record("ccl", LOW, varied=("methods.ccl.contrast=0.0",)),
        make_record("dvcl", HIGH, varied=NONE),
    ]
    (variants,) = collect(records)
    assert list(variants.runs) == ["ccl (contrast=0.0)", "dvcl (contrast=0.0)"]


def test_several_methods_with_a_varied_setting_are_also_compared_with_each_other(make_record):
    rate = ("training.rate=0.5",)
    records = [
        make_record("supervised", LOW, varied=rate), make_record("dvcl", HIGH, varied=rate)
    ]  # fmt: skip
    group, variants = collect(records)
    assert group.title == "study: five, rate=0.5"
    assert list(group.paired) == ["dvcl"]
    assert list(variants.runs) == ["supervised (rate=0.5)", "dvcl (rate=0.5)"]
    assert variants.paired == {}, "the unchanged runs are not there"
    assert variants.differences is None


def test_methods_of_two_networks_are_held_against_two_as_well(make_record):
    cases = dict.fromkeys("abcdef", 0.5)
    names = ("supervised", "supervised_pair", "mean_teacher", "dvcl")
    found = twins_of([make_record(name, cases, seed=seed) for name in names for seed in (0, 1)])
    assert [answer.partition("?")[0] for answer, _ in found] == [
        "study: five. Did the unlabelled scans help mean_teacher",
        "study: five. Did the unlabelled scans help dvcl",
        "study: five. Did a second network and the unlabelled scans help dvcl",
    ]
    assert [table.columns[1] for _, table in found] == [
        "supervised %", "supervised_pair %", "supervised %",
    ]  # fmt: skip
