"""What methods cost, and when costs do not compare."""

import math

from dvcl.report.costs import Cost, cost_table, is_uneven

ONE = Cost(3, 1000, 12.34, 0.5, 1.0, 812.4, ("cpu, 2 threads",))
OTHER = Cost(1, 250, 60.0, 1.25, 2.5, math.nan, ("cuda H100, 2 threads",))


def test_rows_tell_time_and_memory_and_what_is_unknown():
    table = cost_table({"supervised": ONE, "dvcl": OTHER}, "supervised")
    assert table.columns[5] == "× supervised"
    assert table.rows[0] == (
        "supervised", "3", "1000", "12.3", "0.500", "1.00", "812", "cpu, 2 threads"
    )  # fmt: skip
    assert table.rows[1][2:7] == ("250", "60.0", "1.250", "2.50", "–")


def test_different_machines_are_warned_of():
    assert is_uneven({"supervised": ONE, "dvcl": OTHER})
    assert "times do not compare" in cost_table({"a": ONE, "b": OTHER}, "a").caption
    assert "Attention" not in cost_table({"a": ONE, "b": ONE}, "a").caption
