"""What a next value may be, judged from the few that were seen."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

RARE = 1e-4  # of sound values lie outside, as far as values are normally distributed
USUAL_COUNTS_AS = 8  # values, in judging the spread


def expected_range(values: Sequence[float], usual_spread: float) -> tuple[float, float]:
    """Where one more value of the same kind lies, but for one in ten thousand.

    The prediction interval of a normal distribution, mean ± t s sqrt(1 + 1 / n). Four values hardly
    tell their own spread, and t alone would then allow for anything; so the spread that is usual
    for such values counts as `USUAL_COUNTS_AS` more of them in s, which is never smaller than that:
    cases of one scanner may be all alike. What was seen is always inside.

    Args:
        values: At least one.
        usual_spread: Standard deviation between sound cases, in the unit of the values.

    Returns:
        Least and greatest value.
    """
    mean, spread = _spread(values, usual_spread)
    freedom = USUAL_COUNTS_AS + len(values) - 1
    reach = float(stdtrit(freedom, 1 - RARE / 2)) * spread
    return min(mean - reach, *values), max(mean + reach, *values)


def z_score(value: float, values: Sequence[float], usual_spread: float) -> float:
    """How many of the spreads that `expected_range` reckons with a value lies above the mean.

    Args:
        value: To be judged.
        values: At least one, of sound cases.
        usual_spread: As for `expected_range`.
    """
    mean, spread = _spread(values, usual_spread)
    return (value - mean) / spread


def _spread(values: Sequence[float], usual_spread: float) -> tuple[float, float]:
    """Mean, and the standard deviation of one more value from it."""
    count, mean = len(values), float(np.mean(values))
    squares = USUAL_COUNTS_AS * usual_spread**2 + float(np.square(np.array(values) - mean).sum())
    spread = max(usual_spread, math.sqrt(squares / (USUAL_COUNTS_AS + count - 1)))
    return mean, spread * math.sqrt(1 + 1 / count)
