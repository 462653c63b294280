"""Did the unlabelled scans help: a method against supervised training on the same budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dvcl.evaluation.cases import CaseScore
from dvcl.evaluation.statistics import Comparison, Trainings, compare_pairs
from dvcl.evaluation.summary import case_means, spread, summarise

Seeds = Sequence[Sequence[CaseScore]]


@dataclass(frozen=True)
class Against:
    """Dice of a method and of the other, and how sure their difference is.

    Attributes:
        dice: Mean over cases of the method, in [0, 1]; each case is averaged over seeds first.
        other: Likewise.
        comparison: Of the cases that both have.
    """

    dice: float
    other: float
    comparison: Comparison


@dataclass(frozen=True)
class Twins:
    """A method against its twin.

    Attributes:
        mean: Of the cases' mean Dice over organs: the one question that is asked first, so its p
            is not corrected.
        organs: By organ; p corrected for all of them (Holm).
    """

    mean: Against
    organs: Mapping[str, Against]


def compare_twins(method: Seeds, twin: Seeds) -> Twins:
    """Hold a method's test scores against its twin's.

    Args:
        method: Scores of the test cases, a list for every seed.
        twin: Likewise; the number of seeds may differ.
    """
    ours, theirs = ([summarise(scores).case_dice for scores in seeds] for seeds in (method, twin))
    (mean,) = _against({"mean": (ours, theirs)}).values()
    organs = dict.fromkeys(score.organ for scores in (*method, *twin) for score in scores)
    pairs = {organ: (_dice(method, organ), _dice(twin, organ)) for organ in organs}
    return Twins(mean, _against(pairs))


def _against(pairs: Mapping[str, tuple[Trainings, Trainings]]) -> dict[str, Against]:
    found = compare_pairs(pairs)
    return {
        name: Against(_mean(first), _mean(second), found[name])
        for name, (first, second) in pairs.items()
    }


def _mean(trainings: Trainings) -> float:
    return spread(list(case_means(trainings).values())).mean


def _dice(seeds: Seeds, organ: str) -> list[dict[str, float]]:
    return [
        {score.case: score.dice for score in scores if score.organ == organ} for scores in seeds
    ]
