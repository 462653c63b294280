"""Limits of the agreement, and the verdicts that follow."""

from __future__ import annotations

import math

import pytest

from dvcl.evaluation.trust import Limits, judge, learn_limits


@pytest.mark.parametrize(
    ("agreement", "dice", "accept_from", "reject_below"),
    [
        # All above the highest bad one are good; below the lowest good one none was.
        ([0.5, 0.6, 0.7, 0.8, 0.9], [0.3, 0.8, 0.6, 0.8, 0.9], 0.8, 0.6),
        ([0.7, 0.9], [0.8, 0.9], 0.7, 0.7),
        # The networks agree most on what is wrong: nothing is accepted.
        ([0.7, 0.9], [0.9, 0.2], math.inf, 0.7),
        ([0.7, 0.9], [0.1, 0.2], math.inf, math.inf),
        ([], [], math.inf, -math.inf),
    ],
)
def test_limits_are_read_off_validation_cases(agreement, dice, accept_from, reject_below) -> None:
    found = learn_limits(agreement, dice, 0.75)
    assert (found.accept_from, found.reject_below) == (accept_from, reject_below)
    assert found.cases == len(dice)
    assert found.good == sum(value >= 0.75 for value in dice)


@pytest.mark.parametrize(
    ("agreement", "doubts", "verdict"),
    [
        (0.8, 0, "accept"),
        (0.8, 1, "look"),
        (0.79, 0, "look"),
        (0.6, 0, "look"),
        (0.59, 0, "reject"),
        (0.59, 3, "reject"),
    ],
)
def test_verdicts(agreement: float, doubts: int, verdict: str) -> None:
    assert judge(agreement, doubts, Limits(0.75, 0.8, 0.6, 5, 3)) == verdict


def test_without_validation_cases_every_mask_is_looked_at() -> None:
    limits = learn_limits([], [], 0.75)
    assert {judge(value, 0, limits) for value in (0.0, 0.5, 1.0)} == {"look"}
