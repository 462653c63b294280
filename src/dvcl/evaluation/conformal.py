"""Limits that hold with a chosen probability, whatever the network: conformal prediction.

Scores of n cases and of one more are exchangeable when nothing tells which of them was the last
one. Then the last one is as likely as any to be the k-th smallest of all, and is at most the k-th
smallest of the n with a probability of at least k / (n + 1). Source: Vovk, Gammerman and Shafer,
Algorithmic Learning in a Random World (2005); Lei et al., JASA 113 (2018),
https://doi.org/10.1080/01621459.2017.1307116.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

ROUNDING = 1e-9  # 0.95 of 20 cases is 19, whatever binary fractions say


def cases_needed(level: float) -> int:
    """The fewest cases of which a limit can hold with this probability: 19 for 0.95."""
    return math.ceil(level / (1 - level) - ROUNDING)


def at_most(scores: Sequence[float], level: float) -> float:
    """What one more score does not exceed, with a probability of at least ``level``.

    The k-th smallest of n scores, k = ceil(level (n + 1)); infinite where k is above n.
    """
    rank = math.ceil(level * (len(scores) + 1) - ROUNDING)
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else math.inf


def at_least(scores: Sequence[float], level: float) -> float:
    """What one more score does not fall below, likewise; minus infinity with too few."""
    return -at_most([-score for score in scores], level)


def interval(
    predictions: Sequence[float], errors: Sequence[float], level: float
) -> tuple[float, float]:
    """Where a true value lies, by the relative errors of n cases.

    With one network (split conformal) all predictions are equal, p, and the interval is p (1 ± the
    error that `at_most` allows): the truth is inside with a probability of at least ``level``. In a
    cross-validation (CV+) case i was predicted by the network that had not learned from it, and
    prediction i is that network's: proven are 2 level - 1, less sqrt(2 / n) with few folds; see
    the docs for what was found. Source: Barber et al., Annals of Statistics 49 (2021), Theorems 1
    and 4, https://doi.org/10.1214/20-AOS1965.

    Args:
        predictions: (n,) of the value that is asked for, at least 0.
        errors: (n,) of the cases: distance of truth and prediction, as a share of the prediction.
        level: In (0, 1).

    Returns:
        Least and greatest value.
    """
    pairs = list(zip(predictions, errors, strict=True))
    low = at_least([value * (1 - error) for value, error in pairs], level)
    high = at_most([value * (1 + error) for value, error in pairs], level)
    return max(0.0, low), high
