"""Intervals and tests against formulas by hand and against simulations of known truth."""

import numpy as np
import pytest
from scipy import stats

from dvcl.evaluation.margins import detectable, margins, p_value, sources

ROWS = 14
SKEWED = {
    "normal": lambda random, shape: random.normal(size=shape),
    "gamma": lambda random, shape: random.gamma(2, size=shape) - 2,
    "log-normal": lambda random, shape: np.exp(0.5 * random.normal(size=shape)) - np.exp(0.125),
    "exponential": lambda random, shape: random.exponential(size=shape) - 1,
}


def trained(random, studies, methods, seeds, cases, spread):
    """(studies, methods, seeds, cases) points of one method, trained again and again."""
    shape = (studies, methods, seeds, cases)
    case = random.normal(0, 4.5, (studies, 1, 1, cases))
    return case + spread * random.normal(size=(*shape[:3], 1)) + random.normal(0, 2, shape)


def is_outside(first, second, level):
    found = sources(first, second)
    down, up = margins(found, level)
    return (found.difference > down) | (found.difference < -up)


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("cases", [6, 12, 30])
def test_one_method_is_called_different_from_itself_in_at_most_5_percent_of_tables(seeds, cases):
    random = np.random.default_rng(10 * seeds + cases)
    found = []
    for spread in (0.5, 2.0, 20.0):
        scores = trained(random, 300, 1 + ROWS, seeds, cases, spread)
        # Holm's first step: whether any row is called different.
        found.append(is_outside(scores[:, 1:], scores[:, :1], 0.05 / ROWS).any(1).mean())
    # 5 % of 300, within two and a half standard deviations.
    assert max(found) < 0.05 + 2.5 * (0.05 * 0.95 / 300) ** 0.5


@pytest.mark.parametrize("shape", SKEWED)
@pytest.mark.parametrize("cases", [12, 30])
def test_the_interval_over_cases_covers_the_truth_as_often_as_it_says(shape, cases):
    random = np.random.default_rng(cases)
    scores = SKEWED[shape](random, (6000, 1, cases))
    share = 1 - is_outside(scores, np.zeros_like(scores), 0.05).mean()
    assert 0.93 < share < 0.97


@pytest.mark.parametrize(("seeds", "most"), [(2, 0.995), (3, 0.985), (5, 0.975)])
@pytest.mark.parametrize("spread", [0.5, 5.0])
def test_the_interval_over_both_is_not_too_narrow(seeds, most, spread):
    random = np.random.default_rng(seeds)
    scores = trained(random, 4000, 2, seeds, 12, spread)
    scores[:, 0] += 2 * SKEWED["exponential"](random, (4000, 1, 12))
    share = 1 - is_outside(scores[:, 0], scores[:, 1], 0.05).mean()
    assert 0.93 < share < most


def test_without_a_share_of_cases_it_is_the_test_of_welch_over_trainings():
    first, second = np.array([[0.5], [0.6], [0.65]]), np.array([[0.4], [0.42], [0.39]])
    cases = np.array([0.0, 0.1, -0.2, 0.3])  # the same for both
    found = sources(first + cases, second + cases)
    expected = stats.ttest_ind(first[:, 0], second[:, 0], equal_var=False)
    assert found.by_case == pytest.approx(0)
    assert found.training_freedom == pytest.approx(expected.df)
    assert p_value(found) == pytest.approx(expected.pvalue, rel=1e-6)


def test_of_one_training_and_cases_that_are_not_skewed_it_is_the_paired_t_test():
    differences = np.array([[0.01, 0.02, 0.03, 0.04, 0.05]])
    found = sources(differences, np.zeros_like(differences))
    expected = stats.ttest_1samp(differences[0], 0)
    assert p_value(found) == pytest.approx(expected.pvalue, rel=1e-6)
    low, high = expected.confidence_interval(0.95)
    down, up = margins(found, 0.05)
    assert (0.03 - down, 0.03 + up) == pytest.approx((low, high))


def test_what_one_training_does_on_one_case_is_not_counted_twice():
    random = np.random.default_rng(0)
    scores = trained(random, 4000, 2, 3, 12, 1.0)
    scores[:, 0] += random.normal(0, 3, (4000, 1, 12))
    found = sources(scores[:, 0], scores[:, 1])
    truth = 2 * (1.0 + 4 / 12) / 3 + 9 / 12
    assert (found.by_training + found.by_case).mean() == pytest.approx(truth, rel=0.05)
    assert found.difference.var() == pytest.approx(truth, rel=0.1)


def test_the_interval_reaches_further_where_the_long_tail_may_hide():
    values = np.array([[0.0, 0.01, 0.0, 0.02, 0.01, 0.0, 0.2, 0.01]])
    down, up = margins(sources(values, np.zeros_like(values)), 0.05)
    assert up > 1.5 * down


def test_p_is_below_the_level_where_the_interval_excludes_zero():
    random = np.random.default_rng(4)
    scores = trained(random, 500, 2, 3, 8, 2.0) + np.array([4.0, 0.0])[:, None, None]
    found = sources(scores[:, 0], scores[:, 1])
    outside = is_outside(scores[:, 0], scores[:, 1], 0.05)
    assert 0.05 < outside.mean() < 0.95
    assert ((p_value(found) < 0.05) == outside).all()


def test_nothing_differs_where_nothing_does():
    scores = np.array([[0.5, 0.6, 0.7]])
    found = sources(scores, scores + 1e-15)
    assert p_value(found) == 1
    assert margins(found, 0.05) == pytest.approx((0, 0), abs=1e-12)


@pytest.mark.parametrize(("seeds", "spread"), [(1, 0.0), (3, 0.5), (3, 2.0), (5, 2.0)])
def test_the_detectable_difference_is_found_in_about_four_of_five_studies(seeds, spread):
    random = np.random.default_rng(7)
    scores = trained(random, 2000, 2, seeds, 20, spread)
    scores[:, 0] += random.normal(0, 2, (2000, 1, 20))
    shift = float(np.median(detectable(sources(scores[:, 0], scores[:, 1]), 0.05, 0.8)))
    power = is_outside(scores[:, 0] + shift, scores[:, 1], 0.05).mean()
    assert power == pytest.approx(0.8, abs=0.12)
