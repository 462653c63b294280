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
    count, mean = len(values), float(np.mean(values))
    freedom = USUAL_COUNTS_AS + count - 1
    squares = USUAL_COUNTS_AS * usual_spread**2 + float(np.square(np.array(values) - mean).sum())
    spread = max(usual_spread, math.sqrt(squares / freedom))
    reach = float(stdtrit(freedom, 1 - RARE / 2)) * spread * math.sqrt(1 + 1 / count)
    return min(mean - reach, *values), max(mean + reach, *values)
