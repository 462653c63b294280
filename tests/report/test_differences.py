"""The table of paired differences says what the numbers say."""

from dvcl.evaluation.statistics import compare
from dvcl.report.differences import difference_table

CASES = [f"case {number}" for number in range(12)]
OLD = {case: 0.50 + number / 100 for number, case in enumerate(CASES)}
BETTER = {case: dice + 0.02 + number / 1000 for number, (case, dice) in enumerate(OLD.items())}
SAME = {case: dice + (-1) ** number / 1000 for number, (case, dice) in enumerate(OLD.items())}


def test_differences_in_points_with_a_verdict():
    found = compare({"old": OLD, "better": BETTER, "same": SAME}, "old")
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
    table = difference_table(compare({"old": few, "new": BETTER}, "old"), "old")
    assert "With 5 cases p cannot fall below 0.062 at all." in table.caption


def test_without_common_cases_there_are_dashes():
    table = difference_table(compare({"old": OLD, "new": {"other": 0.5}}, "old"), "old")
    assert table.rows[0][1:6] == ("–",) * 5
    assert table.rows[0][-1] == "cannot tell"
