"""Limits hold with the chosen probability: against the definition, and by simulation."""

import math

import numpy as np
import pytest

from dvcl.evaluation.conformal import at_least, at_most, cases_needed, interval


def by_definition(scores: list[float], level: float) -> float:
    """The least score of which at least ``level`` of (n + 1) scores are not above it."""
    needed = level * (len(scores) + 1)
    fitting = [s for s in scores if sum(other <= s for other in scores) >= needed - 1e-9]
    return min(fitting, default=math.inf)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95, 1 / 3])
def test_limits_are_those_of_the_definition(level: float) -> None:
    random = np.random.default_rng(0)
    for count in (1, 2, 5, 9, 10, 19, 20, 40):
        scores = random.normal(size=count).round(1).tolist()  # some are equal
        assert at_most(scores, level) == by_definition(scores, level)
        assert at_least(scores, level) == -by_definition([-s for s in scores], level)


@pytest.mark.parametrize(
    ("level", "needed"), [(0.95, 19), (0.9, 9), (0.8, 4), (0.5, 1), (0.99, 99)]
)
def test_the_fewest_cases_are_those_from_which_a_limit_is_finite(level: float, needed: int) -> None:
    assert cases_needed(level) == needed
    assert math.isfinite(at_most([0.0] * needed, level))
    assert at_most([0.0] * (needed - 1), level) == math.inf
    assert at_least([0.0] * (needed - 1), level) == -math.inf


def test_an_interval_by_hand() -> None:
    errors = [0.1, 0.5, 0.2, 0.3]
    assert interval([10] * 4, errors, 0.8) == pytest.approx((5, 15))
    assert interval([10] * 4, errors, 0.6) == pytest.approx((7, 13))
    # Case by case the network that had not seen it: 9 and 11, 5 and 15, 16 and 24, 14 and 26.
    assert interval([10, 10, 20, 20], errors, 0.8) == pytest.approx((5, 26))
    assert interval([10] * 4, [2.0] * 4, 0.8) == (0, 30)


@pytest.mark.parametrize(("count", "level"), [(9, 0.9), (19, 0.95), (40, 0.9), (30, 0.8)])
def test_split_conformal_limits_cover_what_they_promise(count: int, level: float) -> None:
    """Volumes over two orders of magnitude, found with skewed errors and a bias."""
    random, repeats = np.random.default_rng(count), 4000
    truth = random.lognormal(3, 1.5, (repeats, count + 1))
    found = truth * random.lognormal(0.1, 0.4, truth.shape)
    dice = random.beta(6, 1.5, truth.shape)
    inside = above = 0
    for volumes, masks, scores in zip(truth, found, dice, strict=True):
        errors = np.abs(volumes - masks)[:-1] / masks[:-1]
        low, high = interval([masks[-1]] * count, errors.tolist(), level)
        inside += low <= volumes[-1] <= high
        above += scores[-1] >= at_least(scores[:-1].tolist(), level)
    noise = 4 * math.sqrt(level * (1 - level) / repeats)
    for covered in (inside / repeats, above / repeats):
        assert level - noise <= covered <= level + 1 / (count + 1) + noise


def test_cross_validation_covers_more_than_is_proven() -> None:
    """Five folds of 20 cases, each predicted by a line that was fitted to the others."""
    random, repeats, level, folds, count = np.random.default_rng(0), 2000, 0.9, 5, 20
    fold = np.arange(count) % folds
    inside = 0
    for _ in range(repeats):
        looks = random.uniform(1, 3, count + 1)
        truth = 10 * looks * random.lognormal(0, 0.3, count + 1)
        slopes = np.array(
            [(truth[:-1] / looks[:-1])[fold != number].mean() for number in range(folds)]
        )
        own = slopes[fold] * looks[:-1]
        errors = np.abs(truth[:-1] - own) / own
        low, high = interval((slopes[fold] * looks[-1]).tolist(), errors.tolist(), level)
        inside += low <= truth[-1] <= high
    assert 0.88 <= inside / repeats <= 0.98
