"""How far a difference of means may lie from the truth, for the trainings and the cases in it.

Scores of a method are mean + case + training + what one training does on one case. All cases are
those of every training, and all trainings meet every case: both effects are crossed. The interval
over trainings (Welch) and the one over cases (Hall) are put together by their squares (Zou and
Donner, Statistics in Medicine 2008, https://doi.org/10.1002/sim.3095), so that the result is never
narrower than either. docs/statistics.md says against what this was chosen, and what it holds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

Floats = np.ndarray | np.float64

ROUNDING = 1e-12  # what differs by less is equal: scores are of the order of 1
LEAST_P = 1e-12
HALVINGS = 50


@dataclass(frozen=True)
class Sources:
    """A difference between two methods and what it owes to chance; arrays of one shape.

    Attributes:
        difference: Mean of the first minus mean of the second.
        by_training: Squared standard error from trainings, what one of them does on one case
            included; 0 where there is one training of either.
        training_freedom: Degrees of freedom of that (Welch).
        by_case: Squared standard error from cases: that methods differ by more on some than others.
        case_freedom: Number of cases - 1.
        skewness: Of the mean over cases, from the cases' third moment.
    """

    difference: Floats
    by_training: Floats
    training_freedom: Floats
    by_case: Floats
    case_freedom: int
    skewness: Floats


def sources(first: np.ndarray, second: np.ndarray) -> Sources:
    """Take apart what two methods scored on the same cases.

    Args:
        first: (..., trainings, cases), three cases or more.
        second: Likewise; the number of trainings may differ.
    """
    differences = first.mean(-2) - second.mean(-2)
    cases = differences.shape[-1]
    mean = differences.mean(-1)
    among_cases = differences.var(-1, ddof=1) / cases
    by_training: Floats = np.zeros_like(mean)
    training_freedom: Floats = np.ones_like(mean)
    mixed: Floats = np.zeros_like(mean)
    if min(first.shape[-2], second.shape[-2]) > 1:
        (ours, free, our_mix), (theirs, other_free, their_mix) = map(
            _over_trainings, (first, second)
        )
        by_training, mixed = ours + theirs, our_mix + their_mix
        squares = ours**2 / free + theirs**2 / other_free
        training_freedom = _divided(by_training**2, squares, free + other_free)
    third = ((differences - mean[..., None]) ** 3).sum(-1) / (cases * (cases - 1) * (cases - 2))
    return Sources(
        mean,
        by_training,
        training_freedom,
        # What one training does on one case is in both; it counts once, with the trainings.
        np.maximum(among_cases - mixed, 0),
        cases - 1,
        _divided(third, among_cases**1.5, 0.0),
    )


def margins(found: Sources, level: Floats | float) -> tuple[Floats, Floats]:
    """Distances from the difference down and up to the ends of its interval.

    Args:
        found: From `sources`.
        level: 0.05 for a 95 % interval.
    """
    trainings = found.by_training * stats.t.isf(level / 2, found.training_freedom) ** 2
    quantile = stats.t.isf(level / 2, found.case_freedom)
    down, up = _hall(quantile, found.skewness), -_hall(-quantile, found.skewness)
    return (
        np.sqrt(trainings + found.by_case * np.maximum(down, quantile) ** 2),
        np.sqrt(trainings + found.by_case * np.maximum(up, quantile) ** 2),
    )


def p_value(found: Sources) -> Floats:
    """The level whose interval just reaches 0, by halving; 1 where there is no difference."""
    low, high = np.full_like(found.difference, math.log(LEAST_P)), np.zeros_like(found.difference)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        down, up = margins(found, np.exp(middle))
        is_apart = np.abs(found.difference) > np.where(found.difference > 0, down, up)
        low, high = np.where(is_apart, low, middle), np.where(is_apart, middle, high)
    return np.where(np.abs(found.difference) > ROUNDING, np.exp(high), 1.0)


def detectable(found: Sources, level: float, power: float) -> Floats:
    """The true difference that such a test at this level would show with this power."""
    quantiles = [
        stats.t.isf(level / 2, free) + stats.t.ppf(power, free)
        for free in (found.training_freedom, found.case_freedom)
    ]
    parts = found.by_training * quantiles[0] ** 2 + found.by_case * quantiles[1] ** 2
    return np.sqrt(parts)


def _over_trainings(scores: np.ndarray) -> tuple[Floats, int, Floats]:
    """Squared standard error of the mean, its degrees of freedom, and how much of it is mixed.

    Mixed: what is of one training on one case alone.
    """
    trainings, cases = scores.shape[-2:]
    means = scores.mean(-1, keepdims=True)
    rest = scores - means - scores.mean(-2, keepdims=True) + means.mean(-2, keepdims=True)
    mixed = (rest**2).sum((-1, -2)) / ((trainings - 1) * (cases - 1))
    return (
        means[..., 0].var(-1, ddof=1) / trainings,
        trainings - 1,
        mixed / (trainings * cases),
    )


def _hall(quantile: Floats, skewness: Floats) -> Floats:
    """Quantile of the studentised mean of skewed values.

    The inverse of T + g T^2 / 3 + g^2 T^3 / 27 + g / 6 (Hall, Annals of Statistics 1992,
    https://doi.org/10.1214/aos/1176348527), which is 0 and T for a skewness g of 0.
    """
    some = np.where(np.abs(skewness) < 1e-6, 1.0, skewness)
    turned = 3 / some * (np.cbrt(1 + some * (quantile - some / 6)) - 1)
    return np.where(np.abs(skewness) < 1e-6, quantile, turned)


def _divided(above: Floats, below: Floats, otherwise: float) -> Floats:
    """Their ratio; ``otherwise`` where there is nothing to divide by."""
    is_some = np.asarray(below) > ROUNDING**4
    return np.where(is_some, above / np.where(is_some, below, 1.0), otherwise)
