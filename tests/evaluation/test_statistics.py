"""Intervals and paired tests against scipy, hand-made numbers and simulations of known truth."""

import math

import numpy as np
import pytest
from scipy import stats

from dvcl.evaluation.statistics import Interval, compare_pairs, holm, mean_interval

NAN = math.nan


def by_case(values):
    return {f"case {number:03}": float(value) for number, value in enumerate(values)}


def draw(count, seed, shift=0.0):
    random = np.random.default_rng(seed)
    other = random.normal(0.7, 0.1, count)
    return by_case(other + random.normal(shift, 0.05, count)), by_case(other)


def test_the_test_is_that_of_scipy_on_the_paired_differences():
    method, other = draw(25, seed=0, shift=0.02)
    found = compare_pairs({"new": (method, other)})["new"]
    expected = stats.wilcoxon(list(method.values()), list(other.values()))
    assert found.p == pytest.approx(expected.pvalue)
    assert found.p_adjusted == found.p, "one comparison needs no correction"
    differences = np.subtract(list(method.values()), list(other.values()))
    assert found.difference.mean == pytest.approx(differences.mean())


def test_cases_are_paired_by_name_and_undefined_ones_left_out():
    method = {"a": 0.9, "b": 0.8, "c": NAN, "only here": 0.1}
    other = {"b": 0.7, "a": 0.7, "c": 0.5, "only there": 0.9}
    found = compare_pairs({"new": (method, other)})["new"]
    assert found.difference.cases == 2
    assert found.difference.mean == pytest.approx(0.15)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([0.01, NAN, 0.04])[0] == pytest.approx(0.02)
    assert math.isnan(holm([NAN])[0])


def test_comparisons_are_corrected_together():
    old = draw(20, 0)[1]
    found = compare_pairs({f"{seed}": (draw(20, seed, shift=0.03)[0], old) for seed in range(3)})
    assert [row.p_adjusted for row in found.values()] == holm([row.p for row in found.values()])


def test_the_effect_is_the_share_of_ranks_in_favour_minus_against():
    other = by_case([0.0] * 4)
    found = compare_pairs({"new": (by_case([0.1, 0.2, -0.3, 0.4]), other)})["new"]
    assert found.effect == pytest.approx((1 + 2 + 4 - 3) / 10)
    assert compare_pairs({"new": (by_case([0.1] * 4), other)})["new"].effect == 1


def test_equal_methods_cannot_be_told_apart():
    scores = by_case([0.5, 0.6, 0.7])
    found = compare_pairs({"new": (scores, scores)})["new"]
    assert (found.p, found.effect, found.verdict) == (1, 0, "cannot tell")
    assert found.difference == Interval(0, 0, 0, 3)


def test_a_few_cases_cannot_show_anything():
    found = compare_pairs({"new": (by_case([0.9] * 5), by_case([0.1] * 5))})["new"]
    assert found.smallest_p == pytest.approx(1 / 16)
    assert found.p >= found.smallest_p
    assert found.verdict == "cannot tell"


def test_a_clear_difference_is_told_in_both_directions():
    method, other = draw(30, seed=1, shift=0.1)
    assert compare_pairs({"new": (method, other)})["new"].verdict == "better"
    assert compare_pairs({"old": (other, method)})["old"].verdict == "worse"


def test_no_common_case_gives_no_verdict():
    found = compare_pairs({"new": ({"a": 0.5}, {"b": 0.5})})["new"]
    assert math.isnan(found.p)
    assert found.verdict == "cannot tell"
    assert found.difference.cases == 0


def test_without_a_difference_the_test_errs_as_often_as_it_says():
    verdicts = [
        compare_pairs({"new": (draw(15, seed)[0], draw(15, seed)[1])})["new"].p < 0.05
        for seed in range(300)
    ]
    # 5 % of 300, within three standard deviations.
    assert abs(np.mean(verdicts) - 0.05) < 3 * math.sqrt(0.05 * 0.95 / 300)


def test_the_detectable_difference_is_found_in_four_of_five_samples():
    scatter, count = 0.05, 20
    (quantiles,) = [stats.t.ppf(0.975, count - 1) + stats.t.ppf(0.8, count - 1)]
    shift = quantiles * scatter / math.sqrt(count)
    rows = [
        compare_pairs({"new": (method, other)})["new"]
        for method, other in (draw(count, seed, shift) for seed in range(300))
    ]
    assert np.median([row.detectable for row in rows]) == pytest.approx(shift, rel=0.05)
    assert np.mean([row.p < 0.05 for row in rows]) == pytest.approx(0.8, abs=0.08)


def test_the_interval_covers_the_truth_nearly_as_often_as_it_says():
    covered = []
    for seed in range(200):
        values = np.random.default_rng(seed).normal(0.7, 0.1, 30)
        interval = mean_interval(values.tolist(), seed)
        covered.append(interval.low <= 0.7 <= interval.high)
    assert 0.88 <= np.mean(covered) <= 0.99


def test_values_that_differ_by_rounding_have_an_interval_of_no_width():
    interval = mean_interval([0.9 - 0.3, 0.6, 0.7 - 0.1, 0.8 - 0.2])
    assert interval.low == interval.high == pytest.approx(0.6)


def test_the_interval_is_reproducible_and_needs_three_cases():
    values = [0.5, 0.7, 0.6, 0.9, NAN]
    assert mean_interval(values) == mean_interval(values)
    assert mean_interval(values).cases == 4
    assert math.isnan(mean_interval([0.5, 0.6]).low)
    assert mean_interval([0.5, 0.5, 0.5]) == Interval(0.5, 0.5, 0.5, 3)
    assert math.isnan(mean_interval([]).mean)
