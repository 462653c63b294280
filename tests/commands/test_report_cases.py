"""Which cases a study's page shows."""

import pytest

from dvcl.commands.report_cases import _chosen


@pytest.mark.parametrize(
    ("best_first", "chosen"),
    [
        ("", {}),
        ("a", {"a": "Worst"}),
        ("ab", {"b": "Worst", "a": "Best"}),
        ("abcde", {"e": "Worst", "c": "Typical", "a": "Best"}),
    ],
)
def test_each_case_is_shown_once(best_first, chosen):
    assert _chosen(best_first) == chosen
