"""Scores over cases: every organ's mean first, then the mean over organs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dvcl.evaluation.cases import CaseScore

# Of `CaseScore`, in the order of the attributes of the summaries.
SPREAD_SCORES = ("dice", "jaccard", "hd95_mm", "assd_mm", "nsd")


@dataclass(frozen=True)
class Spread:
    """Mean and scatter of one score over the cases in which it is defined.

    Attributes:
        mean: NaN when no case defines the score.
        sd: Sample standard deviation over cases (divided by n - 1); NaN below two cases.
        defined: Cases that count.
        undefined: Cases left out because the reference lacks the organ.
    """

    mean: float
    sd: float
    defined: int
    undefined: int


@dataclass(frozen=True)
class OrganSummary:
    """One organ over all cases.

    Attributes:
        organ: Organ name.
        dice: Over cases, as all of the following.
        jaccard: See `CaseScore`.
        hd95_mm: See `CaseScore`.
        assd_mm: See `CaseScore`.
        nsd: See `CaseScore`.
        missed: Cases whose reference has the organ and whose prediction has no voxel of it; one in
            the wrong place has a Dice of 0 and is not missed. Where scores lack a volume it cannot
            be told, and the case is not counted.
        false_positives: Cases in which the reference lacks the organ but the prediction has it.
    """

    organ: str
    dice: Spread
    jaccard: Spread
    hd95_mm: Spread
    assd_mm: Spread
    nsd: Spread
    missed: int
    false_positives: int


@dataclass(frozen=True)
class Summary:
    """All organs over all cases.

    Attributes:
        organs: In the order of the scores.
        mean_dice: Mean of the organs' means, over the organs that have one.
        mean_jaccard: Likewise, as the following.
        mean_hd95_mm: See `CaseScore`.
        mean_assd_mm: See `CaseScore`.
        mean_nsd: See `CaseScore`.
        case_dice: Mean Dice over the defined organs of every case, NaN where there is none.
    """

    organs: tuple[OrganSummary, ...]
    mean_dice: float
    mean_jaccard: float
    mean_hd95_mm: float
    mean_assd_mm: float
    mean_nsd: float
    case_dice: dict[str, float]

    @property
    def cases(self) -> int:
        """Number of cases."""
        return len(self.case_dice)

    @property
    def organs_defined(self) -> int:
        """Number of organs behind the means over organs."""
        return sum(organ.dice.defined > 0 for organ in self.organs)

    @property
    def missed(self) -> tuple[int, int]:
        """Organs missed, and organs in the references, both over all cases."""
        defined = sum(organ.dice.defined for organ in self.organs)
        return sum(organ.missed for organ in self.organs), defined

    @property
    def ranking(self) -> tuple[str, ...]:
        """Case ids from the highest to the lowest mean Dice; cases without a mean are left out.

        Equal cases keep the order of the scores, so that the choice is the same in every run.
        """
        ranked = [case for case, value in self.case_dice.items() if not math.isnan(value)]
        return tuple(sorted(ranked, key=lambda case: -self.case_dice[case]))


def summarise(scores: Sequence[CaseScore]) -> Summary:
    """Summarise scores over cases, then over organs.

    Undefined scores are left out and counted. Organs weigh the same, however many cases define
    them: each organ is averaged over its cases first.
    """
    organs = tuple(_organ(organ, rows) for organ, rows in _grouped(scores, "organ").items())
    means = {
        f"mean_{score}": _mean(getattr(organ, score).mean for organ in organs)
        for score in SPREAD_SCORES
    }
    case_dice = {
        case: _mean(row.dice for row in rows) for case, rows in _grouped(scores, "case").items()
    }
    return Summary(organs, **means, case_dice=case_dice)


def _grouped(scores: Iterable[CaseScore], key: str) -> dict[str, list[CaseScore]]:
    groups: dict[str, list[CaseScore]] = {}
    for score in scores:
        groups.setdefault(getattr(score, key), []).append(score)
    return groups


def _organ(organ: str, rows: Sequence[CaseScore]) -> OrganSummary:
    spreads = {score: spread([getattr(row, score) for row in rows]) for score in SPREAD_SCORES}
    return OrganSummary(
        organ,
        **spreads,
        missed=sum(row.reference_ml > 0 and row.predicted_ml == 0 for row in rows),
        false_positives=sum(row.reference_ml == 0 and row.predicted_ml > 0 for row in rows),
    )


def spread(values: Sequence[float]) -> Spread:
    """Mean and sample standard deviation of the values that are not NaN, with their number."""
    defined = _defined(values)
    sd = float(np.std(defined, ddof=1)) if defined.size > 1 else math.nan
    return Spread(_mean(values), sd, defined.size, len(values) - defined.size)


def case_means(seeds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of every case over the seeds that scored it, NaN values left out."""
    cases = dict.fromkeys(case for scores in seeds for case in scores)
    return {case: _mean(scores[case] for scores in seeds if case in scores) for case in cases}


def _mean(values: Iterable[float]) -> float:
    defined = _defined(values)
    return float(defined.mean()) if defined.size else math.nan


def _defined(values: Iterable[float]) -> np.ndarray:
    array = np.fromiter(values, dtype=np.float64)
    return array[~np.isnan(array)]
