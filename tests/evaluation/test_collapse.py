"""Trainings that went wrong are found, and ordinary ones are not."""

import pytest

from dvcl.evaluation.cases import CaseScore
from dvcl.evaluation.collapse import collapsed, dagger, told
from dvcl.evaluation.summary import summarise


def training(liver, spleen):
    """Dice of two organs in three cases."""
    return summarise(
        [
            CaseScore(f"case {case}", organ, dice and dice + case / 100, dice, 1.0, 1.0)
            for organ, dice in (("liver", liver), ("spleen", spleen))
            for case in range(3)
        ]
    )


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ({"a": [(0.8, 0.6), (0.8, 0.0)]}, {"a": {1: "never finds spleen"}}),
        ({"a": [(0.8, 0.6), (0.0, 0.0)]}, {"a": {1: "never finds any organ"}}),
        ({"a": [(0.8, 0.0), (0.8, 0.0)], "b": [(0.8, 0.1)], "c": [(0.8, 0.1)]},
         {"a": {0: "never finds spleen", 1: "never finds spleen"}}),
        ({"a": [(0.8, 0.0)], "b": [(0.8, 0.1)], "c": [(0.8, 0.1)]},
         {"a": {0: "never finds spleen"}}),
        ({"a": [(0.8, 0.0)], "b": [(0.8, 0.0)], "c": [(0.8, 0.1)]}, {}),
        ({"a": [(0.8, 0.6), (0.82, 0.6), (0.5, 0.4)]},
         {"a": {2: "is 25 points below all others"}}),
        ({"a": [(0.8, 0.6), (0.5, 0.4)]}, {"a": {1: "is 25 points below the other seed"}}),
        ({"a": [(0.8, 0.6), (0.7, 0.6), (0.6, 0.5)]}, {}),
        ({"a": [(0.8, 0.6)]}, {}),
        ({"a": [(0.03, 0.02), (0.03, 0.0)], "b": [(0.03, 0.02)]}, {}),
    ],
    ids=["an organ", "all organs", "an organ that all others find", "one seed",
         "an organ that is hard for all", "far below", "far below one", "some scatter", "alone",
         "nothing has learned yet"],
)  # fmt: skip
def test_what_counts_as_collapsed(rows, expected):
    summaries = {
        name: dict(enumerate(training(*dice) for dice in seeds)) for name, seeds in rows.items()
    }
    assert collapsed(summaries) == expected


def test_how_it_is_told():
    found = {"ccl": {0: "never finds any organ", 2: "never finds liver"}}
    assert (dagger("ccl", found), dagger("cps", found)) == (" †", "")
    assert told(found) == (
        "† collapsed training, in the means all the same: ccl with seed 0 never finds any organ; "
        "ccl with seed 2 never finds liver."
    )
    assert told({}) == ""
