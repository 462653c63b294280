"""The table of paired differences says what the numbers say."""

from dvcl.evaluation.cases import CaseScore
from dvcl.evaluation.statistics import compare_pairs
from dvcl.evaluation.twin import compare_twins
from dvcl.report.differences import difference_table, twin_answer, twin_table

CASES = [f"case {number}" for number in range(12)]
OLD = {case: 0.50 + number / 100 for number, case in enumerate(CASES)}
BETTER = {case: dice + 0.02 + number / 1000 for number, (case, dice) in enumerate(OLD.items())}
SAME = {case: dice + (-1) ** number / 1000 for number, (case, dice) in enumerate(OLD.items())}


def test_differences_in_points_with_a_verdict():
    found = compare_pairs({"better": (BETTER, OLD), "same": (SAME, OLD)})
    table = difference_table(found, "old")
    rows = {row[0]: row[1:] for row in table.rows}
    assert table.caption.startswith("Against old: ")
    assert rows["better"][0] == "+2.55"
    assert rows["better"][2:4] == ("< 0.001", "+1.00")
    assert rows["better"][-1] == "better"
    assert "the mean Dice of 12 cases" in table.caption
    assert rows["same"][-1] == "cannot tell"
    low, high = (float(end) for end in rows["better"][1].split(" to "))
    assert 2 < low < 2.55 < high < 3.1
    assert "cannot fall below" not in table.caption


def test_few_cases_are_said_to_be_too_few():
    few = {case: OLD[case] for case in CASES[:5]}
    table = difference_table(compare_pairs({"new": (BETTER, few)}), "old")
    assert "With 5 cases p cannot fall below 0.062 at all." in table.caption


def test_without_common_cases_there_are_dashes():
    table = difference_table(compare_pairs({"new": ({"other": 0.5}, OLD)}), "old")
    assert table.rows[0][1:6] == ("–",) * 5
    assert table.rows[0][-1] == "cannot tell"


def test_what_unlabelled_scans_were_worth_in_words_and_by_organ():
    def scores(gain):
        return [
            CaseScore(case, organ, dice + gain[organ], 0.5, 1, 1)
            for case, dice in OLD.items()
            for organ in ("liver", "spleen")
        ]

    twins = compare_twins(
        [scores({"liver": 0.1, "spleen": 0.0})], [scores({"liver": 0, "spleen": 0})]
    )
    answer = twin_answer(twins, "dvcl")
    assert answer.startswith("Did the unlabelled scans help dvcl? Yes: +5.00 points of mean Dice")
    assert answer.endswith("12 test cases); by organ: 1 better, 1 cannot tell.")
    table = twin_table(twins, "dvcl", "supervised")
    assert [row[0] for row in table.rows] == ["liver", "spleen", "Mean"]
    assert table.rows[0][1:4] == ("55.50", "65.50", "+10.00")
    assert table.rows[1][-1] == "cannot tell"
    worse = compare_twins(
        [scores({"liver": -0.1, "spleen": -0.1})], [scores({"liver": 0, "spleen": 0})]
    )
    assert "No, they did harm: -10.00 points" in twin_answer(worse, "dvcl")
