"""Whether a difference between methods is real: over other trainings and other cases."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from dvcl.evaluation.margins import detectable, margins, p_value, sources

Shown = Literal["higher", "lower", "cannot tell"]
Verdict = Literal["better", "worse", "cannot tell"]

LEVEL = 0.05
POWER = 0.8
FEWEST_CASES = 3  # below them there is no interval

# Each case id -> score, higher is better, NaN where undefined; one mapping per training.
Trainings = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % confidence interval.

    Attributes:
        mean: NaN without cases.
        low: Lower end; NaN below three cases.
        high: Upper end.
        cases: That count.
    """

    mean: float
    low: float
    high: float
    cases: int


@dataclass(frozen=True)
class Comparison:
    """One method against another on the same cases.

    Attributes:
        difference: Mean of the method minus the other, with its interval: over trainings and cases
            where there are several trainings of both, else over cases alone.
        trainings: Of each method; the smaller number where they differ.
        p: Two-sided, of the same test as the interval, and not below what a test without an
            assumption about the cases' differences could give; NaN below three cases.
        p_adjusted: After Holm's correction for all comparisons made together.
        smallest_p: The least `p_adjusted` that so many cases in so many comparisons can give.
        detectable: The difference that as many trainings and cases, scattering as they do, would
            have shown in that many comparisons with a power of 80 %; infinite where none would be.
    """

    difference: Interval
    trainings: int
    p: float
    p_adjusted: float
    smallest_p: float
    detectable: float

    @property
    def shown(self) -> Shown:
        """What holds on other cases like these; of one training each, for these networks alone."""
        if not self.p_adjusted < LEVEL:
            return "cannot tell"
        return "higher" if self.difference.mean > 0 else "lower"

    @property
    def verdict(self) -> Verdict:
        """About the method: better or worse; from one training it cannot tell."""
        if self.trainings < 2 or self.shown == "cannot tell":
            return "cannot tell"
        return "better" if self.shown == "higher" else "worse"


def compare_pairs(pairs: Mapping[str, tuple[Trainings, Trainings]]) -> dict[str, Comparison]:
    """Compare the first with the second of every pair on the cases that all have, as one family.

    Holm, Scandinavian Journal of Statistics 1979; all else in `margins`.

    Args:
        pairs: Name -> two methods.
    """
    found = {name: _compared(*pair) for name, pair in pairs.items()}
    rows = sum(comparison.difference.cases > 0 for comparison, _ in found.values())
    adjusted = holm([comparison.p for comparison, _ in found.values()])
    return {
        name: replace(
            comparison,
            p_adjusted=p,
            smallest_p=smallest_p(comparison.difference.cases, rows),
            detectable=_detectable(scores, rows),
        )
        for (name, (comparison, scores)), p in zip(found.items(), adjusted, strict=True)
    }


def mean_interval(scores: Mapping[str, float]) -> Interval:
    """The mean of one training's scores, with its interval over other cases alone.

    Args:
        scores: Case id -> score, NaN where undefined; these are left out.
    """
    nothing = dict.fromkeys(scores, 0.0)
    comparison, _ = _compared([scores], [nothing])
    return comparison.difference


def holm(values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment of p-values looked at together; NaN stays and does not count."""
    known = [index for index, p in enumerate(values) if not math.isnan(p)]
    adjusted = [math.nan] * len(values)
    largest = 0.0
    for rank, index in enumerate(sorted(known, key=lambda i: values[i])):
        largest = max(largest, min(1.0, (len(known) - rank) * values[index]))
        adjusted[index] = largest
    return adjusted


def smallest_p(cases: int, rows: int = 1) -> float:
    """The least p, corrected for so many rows, that so many cases can give; NaN without cases.

    If a method's differences were as likely to be positive as negative, all of n would still have
    the same sign by chance in 2^(1 - n) of all studies. A smaller p would lean on the tails of an
    assumed distribution, which few cases cannot show.
    """
    return min(1.0, max(1, rows) * 2.0 ** (1 - cases)) if cases else math.nan


def cases_needed(rows: int) -> int:
    """The fewest cases with which one of so many rows can be told from chance."""
    cases = FEWEST_CASES
    while smallest_p(cases, rows) >= LEVEL:
        cases += 1
    return cases


def _compared(
    method: Trainings, other: Trainings
) -> tuple[Comparison, tuple[np.ndarray, np.ndarray]]:
    """Without what depends on other comparisons; and the scores that it is made from."""
    scores = _matched(method, other)
    cases = scores[0].shape[-1]
    mean = float(scores[0].mean() - scores[1].mean()) if cases else math.nan
    low = high = p = math.nan
    if cases >= FEWEST_CASES:
        found = sources(*scores)
        below, above = margins(found, LEVEL)
        low, high = mean - float(below), mean + float(above)
        p = max(float(p_value(found)), smallest_p(cases))
    comparison = Comparison(
        Interval(mean, low, high, cases), min(len(method), len(other)), p, *(math.nan,) * 3
    )
    return comparison, scores


def _matched(method: Trainings, other: Trainings) -> tuple[np.ndarray, np.ndarray]:
    """(trainings, cases) of both, over the cases that every training of both has a value for."""
    each = [*method, *other]
    cases = [
        case
        for case in (each[0] if each else ())
        if not any(math.isnan(scores.get(case, math.nan)) for scores in each)
    ]
    first, second = (
        np.array([[scores[case] for case in cases] for scores in side], dtype=np.float64)
        for side in (method, other)
    )
    return first.reshape(len(method), len(cases)), second.reshape(len(other), len(cases))


def _detectable(scores: tuple[np.ndarray, np.ndarray], rows: int) -> float:
    cases = scores[0].shape[-1]
    if cases < FEWEST_CASES:
        return math.nan
    if smallest_p(cases, rows) >= LEVEL:
        return math.inf
    return float(detectable(sources(*scores), LEVEL / rows, POWER))
