"""Whether a difference between methods is real: intervals over cases and paired tests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import stats

Verdict = Literal["better", "worse", "cannot tell"]

LEVEL = 0.05
POWER = 0.8
RESAMPLES = 9999
ROUNDING = 1e-12  # values that differ by less are equal: scores are of the order of 1


@dataclass(frozen=True)
class Interval:
    """A mean over cases and its confidence interval.

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
        difference: Mean over cases of the method minus the other, with its interval.
        p: Of the two-sided Wilcoxon signed-rank test; 1 where no case differs, NaN without cases.
        p_adjusted: After Holm's correction for all comparisons made together.
        effect: Matched-pairs rank-biserial correlation, -1..1: the share of ranks in favour minus
            the share against.
        detectable: The mean difference that this many cases, scattering as they do, would have
            shown with a power of 80 %.
        smallest_p: The least p that so many cases can give at all.
    """

    difference: Interval
    p: float
    p_adjusted: float
    effect: float
    detectable: float
    smallest_p: float

    @property
    def verdict(self) -> Verdict:
        """Better or worse where the adjusted p is below 5 %; else it cannot tell."""
        if not self.p_adjusted < LEVEL:
            return "cannot tell"
        return "better" if self.effect > 0 else "worse"


def mean_interval(values: Sequence[float], seed: int = 0) -> Interval:
    """95 % bootstrap interval (BCa) of the mean over cases; NaN values do not count.

    Efron, JASA 1987, https://doi.org/10.1080/01621459.1987.10478410. It describes the spread over
    cases like these, not over trainings, and is too narrow for a handful of cases.

    Args:
        values: One per case.
        seed: Of the resampling.
    """
    known = _known(values)
    mean = float(known.mean()) if known.size else math.nan
    if known.size < 3:
        return Interval(mean, math.nan, math.nan, known.size)
    if np.ptp(known) <= ROUNDING:
        return Interval(mean, mean, mean, known.size)
    found = stats.bootstrap(
        (known,), np.mean, n_resamples=RESAMPLES, confidence_level=1 - LEVEL, method="BCa",
        rng=np.random.default_rng(seed),
    ).confidence_interval  # fmt: skip
    return Interval(mean, float(found.low), float(found.high), known.size)


def compare_pairs(
    pairs: Mapping[str, tuple[Mapping[str, float], Mapping[str, float]]], seed: int = 0
) -> dict[str, Comparison]:
    """Compare the first with the second of every pair on the cases that both have, as one family.

    Wilcoxon, Biometrics Bulletin 1945; Holm, Scandinavian Journal of Statistics 1979.

    Args:
        pairs: Name -> two scorings, each case id -> score, higher is better, averaged over seeds;
            NaN where undefined.
        seed: Of the intervals' resampling.
    """
    found = {name: _paired(first, second, seed) for name, (first, second) in pairs.items()}
    adjusted = holm([comparison.p for comparison in found.values()])
    return {
        name: replace(comparison, p_adjusted=p)
        for (name, comparison), p in zip(found.items(), adjusted, strict=True)
    }


def holm(values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment of p-values looked at together; NaN stays and does not count."""
    known = [index for index, p in enumerate(values) if not math.isnan(p)]
    adjusted = [math.nan] * len(values)
    largest = 0.0
    for rank, index in enumerate(sorted(known, key=lambda i: values[i])):
        largest = max(largest, min(1.0, (len(known) - rank) * values[index]))
        adjusted[index] = largest
    return adjusted


def _paired(method: Mapping[str, float], other: Mapping[str, float], seed: int) -> Comparison:
    differences = _known([score - other[case] for case, score in method.items() if case in other])
    count = differences.size
    return Comparison(
        mean_interval(differences.tolist(), seed),
        p=_wilcoxon(differences),
        p_adjusted=math.nan,
        effect=_rank_biserial(differences),
        detectable=_detectable(differences),
        smallest_p=2.0 ** (1 - count) if count else math.nan,
    )


def _wilcoxon(differences: np.ndarray) -> float:
    if not differences.size:
        return math.nan
    moved = differences[differences != 0]
    return float(stats.wilcoxon(moved).pvalue) if moved.size else 1.0


def _rank_biserial(differences: np.ndarray) -> float:
    """Kerby, Comprehensive Psychology 2014, https://doi.org/10.2466/11.IT.3.1."""
    moved = differences[differences != 0]
    if not moved.size:
        return 0.0 if differences.size else math.nan
    ranks = stats.rankdata(np.abs(moved))
    return float((np.sign(moved) * ranks).sum() / ranks.sum())


def _detectable(differences: np.ndarray) -> float:
    """Of a paired t-test, whose power is close to the Wilcoxon test's."""
    count = differences.size
    if count < 2:
        return math.nan
    free = count - 1
    quantiles = stats.t.ppf(1 - LEVEL / 2, free) + stats.t.ppf(POWER, free)
    return float(quantiles * differences.std(ddof=1) / math.sqrt(count))


def _known(values: Sequence[float]) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    return array[~np.isnan(array)]
