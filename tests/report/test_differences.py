"""The table of paired differences says what the numbers say."""

from dvcl.evaluation.cases import CaseScore
from dvcl.evaluation.statistics import compare_pairs
from dvcl.evaluation.twin import compare_twins
from dvcl.report.differences import difference_table, twin_answer, twin_table

CASES = [f"case {number}" for number in range(12)]
OLD = {case: 0.50 + number / 100 for number, case in enumerate(CASES)}
HIGH = {case: dice + 0.02 + number / 1000 for number, (case, dice) in enumerate(OLD.items())}
SAME = {case: dice + (-1) ** number / 1000 for number, (case, dice) in enumerate(OLD.items())}


def trained(dice, *shifts):
    """A training for each of these."""
    return [{case: value + shift for case, value in dice.items()} for shift in shifts]


THREE = (0.0, 0.001, -0.001)


def test_differences_over_trainings_with_a_verdict():
    old = trained(OLD, *THREE)
    found = compare_pairs(
        {"high": (trained(HIGH, *THREE), old), "same": (trained(SAME, *THREE), old)}
    )
    table = difference_table(found, "old")
    rows = {row[0]: row[1:] for row in table.rows}
    assert table.caption.startswith("Against old: ")
    assert rows["high"][:2] == ("3", "+2.55")
    assert rows["high"][3] == "< 0.001"
    assert rows["high"][-1] == "better"
    assert "the mean Dice of 12 cases" in table.caption
    assert "One training" not in table.caption
    assert rows["same"][-1] == "cannot tell"
    low, high = (float(end) for end in rows["high"][2].split(" to "))
    assert 2 < low < 2.55 < high < 3.1
    assert "no verdict is possible" not in table.caption


def test_one_training_is_told_of_the_network_and_not_of_the_method():
    table = difference_table(
        compare_pairs({"high": ([HIGH], [OLD]), "low": ([OLD], [HIGH])}), "old"
    )
    assert [row[-1] for row in table.rows] == ["this network higher", "this network lower"]
    assert "about other cases for this network and that one" in table.caption
    assert "method: cannot tell from one training" in table.caption
    assert "better" not in table.caption


def test_few_cases_and_many_rows_are_said_to_be_too_few():
    few = [{case: OLD[case] for case in CASES[:6]}]
    pairs = {str(row): ([HIGH], few) for row in range(14)}
    table = difference_table(compare_pairs(pairs), "old")
    said = "With 6 cases and 14 rows p cannot fall below 0.438: no verdict is possible; 10 cases"
    assert said in table.caption
    assert {row[-2:] for row in table.rows} == {("nothing", "cannot tell")}
    assert "no verdict" not in difference_table(compare_pairs({"1": ([HIGH], few)}), "old").caption


def test_two_cases_are_a_row_too():
    pairs = {"1": (trained({"a": 0.5, "b": 0.6}, *THREE), trained({"a": 0.4, "b": 0.4}, *THREE))}
    caption = difference_table(compare_pairs(pairs), "old").caption
    assert "With 2 cases and 1 row p cannot fall below 0.500: no verdict is possible" in caption


def test_without_common_cases_there_are_dashes():
    table = difference_table(compare_pairs({"new": ([{"other": 0.5}], [OLD])}), "old")
    assert table.rows[0][2:6] == ("–",) * 4
    assert table.rows[0][-1] == "cannot tell"


def test_collapsed_trainings_are_marked():
    found = compare_pairs({"new": (trained(SAME, *THREE), trained(OLD, *THREE))})
    table = difference_table(found, "old", {"new": {2: "never finds liver"}})
    assert table.rows[0][0] == "new †"
    assert table.caption.endswith("new with seed 2 never finds liver.")


def scores(gain, shift=0.0):
    return [
        CaseScore(case, organ, dice + gain[organ] + shift + number / 1e4, 0.5, 1, 1)
        for number, (case, dice) in enumerate(OLD.items())
        for organ in ("liver", "spleen")
    ]


NOTHING = {"liver": 0, "spleen": 0}


def seeds(gain):
    return [scores(gain, shift) for shift in THREE]


def test_what_unlabelled_scans_were_worth_in_words_and_by_organ():
    twins = compare_twins(seeds({"liver": 0.1, "spleen": 0.0}), seeds(NOTHING))
    answer = twin_answer(twins, "dvcl", "supervised_pair")
    assert answer.startswith("Did the unlabelled scans help dvcl? Yes: +5.00 points of mean Dice")
    assert answer.endswith(
        "12 test cases, 3 trainings of each); by organ: 1 better, 1 cannot tell."
    )
    table = twin_table(twins, "dvcl", "supervised")
    assert [row[0] for row in table.rows] == ["liver", "spleen", "Mean"]
    assert table.rows[0][1:4] == ("55.55", "65.55", "+10.00")
    assert table.rows[1][-1] == "cannot tell"
    worse = compare_twins(seeds({"liver": -0.1, "spleen": -0.1}), seeds(NOTHING))
    assert "No, they did harm: -10.00 points" in twin_answer(worse, "dvcl", "supervised_pair")


def test_what_else_a_method_has_than_its_twin_is_part_of_the_question():
    twins = compare_twins(seeds({"liver": 0.1, "spleen": 0.1}), seeds(NOTHING))
    for method, twin, what in (
        ("dvcl", "supervised_pair", "the unlabelled scans"),
        ("dvcl", "supervised", "a second network and the unlabelled scans"),
        ("mean_teacher", "supervised", "the unlabelled scans"),
        ("cld", "supervised_pair", "its class weights and the unlabelled scans"),
        ("cld", "supervised", "a second network, its class weights and the unlabelled scans"),
    ):
        assert twin_answer(twins, method, twin).startswith(f"Did {what} help {method}? Yes: +10.00")


def test_one_training_cannot_tell_whether_unlabelled_scans_help():
    twins = compare_twins([scores({"liver": 0.1, "spleen": 0.0})], [scores(NOTHING)])
    answer = twin_answer(twins, "dvcl", "supervised_pair")
    assert answer.startswith(
        "Did the unlabelled scans help dvcl? Cannot tell from one training of each: another seed "
        "may turn it round. This network against that one: this network higher, +5.00 points"
    )
    assert answer.endswith("12 test cases); by organ: 1 cannot tell, 1 this network higher.")
    table = twin_table(twins, "dvcl", "supervised")
    assert table.rows[0][-1] == "this network higher"
    assert "method: cannot tell from one training" in table.caption
    assert "better" not in answer + table.caption
