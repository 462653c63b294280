"""What a comparison cannot tell is said before its runs are trained."""

from pathlib import Path

import pytest

from dvcl.comparison.plan import Entry, group_name
from dvcl.comparison.prospects import prospects


def entries(methods, seeds, varied=()):
    return [
        Entry(Path("study"), f"m{method}", seed, None, varied, group_name("five", None, varied))
        for seed in range(seeds)
        for method in range(methods)
    ]


@pytest.mark.parametrize(
    ("methods", "seeds", "cases", "said"),
    [
        (15, 3, 4, ["14 rows over 4 scored cases: p cannot fall below 1.000", "10 cases would"]),
        (15, 3, 6, ["14 rows over 6 scored cases: p cannot fall below 0.438", "10 cases would"]),
        (2, 3, 5, ["1 row over 5 scored cases: p cannot fall below 0.062", "6 cases would"]),
        (15, 1, 30, ["one training each: no verdict about a method", "--seeds 0,1,2"]),
        (15, 3, 12, []),
        (2, 3, 6, []),
        (1, 1, 4, []),
    ],
)
def test_too_few_cases_or_trainings_are_told(methods, seeds, cases, said):
    found = prospects(entries(methods, seeds), {"study: five": cases})
    assert len(found) == bool(said)
    assert all(part in " ".join(found) for part in said)


def test_variants_are_a_table_of_their_own():
    plain = entries(1, 3)
    varied = [
        entry for value in range(4) for entry in entries(1, 3, (f"methods.m0.weight={value}",))
    ]
    cases = {entry.label: 7 for entry in (*plain, *varied)}
    (said,) = prospects([*plain, *varied], cases)
    assert said.startswith("study: five, variants: 4 rows over 7 scored cases")
