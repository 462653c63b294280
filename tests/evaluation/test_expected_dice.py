"""The line from agreement to Dice, and what it is worth."""

import numpy as np
import pytest

from dvcl.evaluation.expected_dice import fit_dice


def test_a_line_is_found_and_its_error_is_that_of_cases_left_out() -> None:
    random = np.random.default_rng(0)
    agreement = random.uniform(0.6, 0.9, 25)
    dice = 2 * agreement - 0.9 + random.normal(0, 0.02, 25)
    line = fit_dice(agreement.tolist(), dice.tolist())
    slope, intercept = np.polyfit(agreement, dice, 1)
    assert (line.slope, line.intercept) == pytest.approx((slope, intercept))
    errors, of_mean = [], []
    for case in range(25):
        rest = np.arange(25) != case
        left = np.polyval(np.polyfit(agreement[rest], dice[rest], 1), agreement[case])
        errors.append(abs(min(left, 1) - dice[case]))
        of_mean.append(abs(dice[rest].mean() - dice[case]))
    assert line.error == pytest.approx(np.mean(errors))
    assert line.error_of_mean == pytest.approx(np.mean(of_mean))
    assert line(0.75) == pytest.approx(slope * 0.75 + intercept)
    assert (line(0), line(2)) == (0, 1)


@pytest.mark.parametrize("agreement", [[0.9, 0.8, 0.7], [0.8, 0.8, 0.8]], ids=["falling", "none"])
def test_agreement_that_tells_nothing_gives_the_mean(agreement: list[float]) -> None:
    line = fit_dice(agreement, [0.5, 0.7, 0.9])
    assert line.slope == 0
    assert line(0.3) == pytest.approx(0.7)
    assert line.error_of_mean == pytest.approx((0.3 + 0 + 0.3) / 3)
