import numpy as np
import pytest
from scipy import stats

from dvcl.inference.expectation import RARE, USUAL_COUNTS_AS, expected_range, z_score


def test_many_values_give_the_prediction_interval_of_a_normal_distribution() -> None:
    values = np.random.default_rng(0).normal(5, 2, 4000)
    reach = stats.norm.ppf(1 - RARE / 2) * 2
    assert expected_range(values.tolist(), 0.01) == pytest.approx((5 - reach, 5 + reach), rel=0.03)


@pytest.mark.parametrize("count", [1, 4, 50])
def test_equal_values_have_the_usual_spread(count: int) -> None:
    freedom = USUAL_COUNTS_AS + count - 1
    reach = stats.t.ppf(1 - RARE / 2, freedom) * 0.3 * np.sqrt(1 + 1 / count)
    assert expected_range([7.0] * count, 0.3) == pytest.approx((7 - reach, 7 + reach))


def test_four_values_seldom_exclude_a_fifth() -> None:
    """Also where values spread twice as much as is usual for them."""
    random = np.random.default_rng(1)
    outside = 0
    for *values, fifth in random.normal(0, 2, (3000, 5)).tolist():
        low, high = expected_range(values, 1.0)
        outside += not low <= fifth <= high
    assert outside / 3000 < 0.005


def test_what_was_seen_is_expected() -> None:
    low, high = expected_range([0.0] * 99 + [1000.0], 1.0)
    assert low < 0
    assert high == 1000


@pytest.mark.parametrize("count", [1, 4, 50])
def test_z_counts_the_spreads_of_the_expected_range(count: int) -> None:
    values, freedom = [7.0] * count, USUAL_COUNTS_AS + count - 1
    _, high = expected_range(values, 0.3)
    assert z_score(high, values, 0.3) == pytest.approx(stats.t.ppf(1 - RARE / 2, freedom))
    assert z_score(7.0, values, 0.3) == 0
