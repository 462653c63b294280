"""Limits of the agreement, and the verdicts that follow."""

from __future__ import annotations

import math

import numpy as np
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


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        (0, 0, ""),
        (1, 0, "1 case tells nothing: 1 in 2 good masks is rejected by chance alone, and no bad "
               "case tells how many bad ones are accepted. From 9 good and 9 bad cases on either "
               "happens to at most 1 in 10."),
        (0, 1, "1 case tells nothing: every good mask is rejected by chance alone. From 9 good"),
        (4, 1, "5 cases tell little: 1 in 5 good masks is rejected by chance alone, and up to 1 in "
               "2 bad ones is accepted. From"),
        (11, 8, "19 cases tell little: 1 in 12 good masks"),
        (11, 9, "1 in 12 good masks is rejected by chance alone, and up to 1 in 10 bad ones is "
                "accepted."),
    ],
)  # fmt: skip
def test_what_limits_of_few_cases_are_worth_is_said(good: int, bad: int, said: str) -> None:
    dice = [0.9] * good + [0.1] * bad
    found = learn_limits([0.5 + truth / 10 for truth in dice], dice, 0.75).trust
    assert found.startswith(said)
    assert bool(found) == bool(said)


@pytest.mark.parametrize(("good", "bad"), [(1, 1), (4, 1), (3, 9)])
def test_limits_are_wrong_as_often_as_is_said(good: int, bad: int) -> None:
    """Agreement of good and bad masks, a little apart; one new mask of either kind each time."""
    random = np.random.default_rng(good)
    rejected = accepted = 0
    for _ in range(4000):
        agreement = [*random.normal(0.7, 0.1, good + 1), *random.normal(0.6, 0.1, bad + 1)]
        (new_good, *_), new_bad = agreement, agreement.pop()
        limits = learn_limits(agreement[1:], [0.9] * good + [0.1] * bad, 0.75)
        rejected += judge(new_good, 0, limits) == "reject"
        accepted += judge(new_bad, 0, limits) == "accept"
    assert rejected / 4000 == pytest.approx(1 / (good + 1), abs=0.03)
    assert accepted / 4000 < 1 / (bad + 1) + 0.03
