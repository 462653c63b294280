"""A method against its twin, against scipy on differences put together by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from dvcl.evaluation.cases import CaseScore
from dvcl.evaluation.twin import compare_twins

ORGANS = ("liver", "spleen")


def scores(table: dict[str, np.ndarray]) -> list[CaseScore]:
    """Dice by organ and case."""
    return [
        CaseScore(f"case {number}", organ, float(dice), math.nan, 1.0, 1.0)
        for organ, values in table.items()
        for number, dice in enumerate(values)
    ]


def test_seeds_are_averaged_before_the_cases_are_paired() -> None:
    random = np.random.default_rng(0)
    ours = random.uniform(0.5, 0.9, (3, 2, 12))  # seeds, organs, cases
    theirs = random.uniform(0.4, 0.9, (2, 2, 12))
    found = compare_twins(
        *(
            [scores(dict(zip(ORGANS, seed, strict=True))) for seed in each]
            for each in (ours, theirs)
        )
    )
    differences = ours.mean(0) - theirs.mean(0)  # organs, cases
    p = sorted(
        (stats.wilcoxon(organ).pvalue, name)
        for organ, name in zip(differences, ORGANS, strict=True)
    )
    for organ, difference, dice in zip(ORGANS, differences, ours.mean((0, 2)), strict=True):
        against = found.organs[organ]
        assert against.dice == pytest.approx(dice)
        assert against.comparison.difference.mean == pytest.approx(difference.mean())
    (least, first), (other, second) = p
    assert found.organs[first].comparison.p_adjusted == pytest.approx(min(1, 2 * least))
    assert found.organs[second].comparison.p_adjusted == pytest.approx(
        max(other, min(1, 2 * least))
    )
    whole = stats.wilcoxon(differences.mean(0)).pvalue
    assert found.mean.comparison.p_adjusted == pytest.approx(whole), "one question, no correction"
    assert found.mean.comparison.difference.mean == pytest.approx(differences.mean())


def test_an_organ_counts_where_a_case_has_it() -> None:
    ours = scores({"liver": np.full(8, 0.8), "spleen": np.array([0.5] * 4 + [math.nan] * 4)})
    theirs = scores({"liver": np.full(8, 0.7), "spleen": np.array([0.4] * 4 + [math.nan] * 4)})
    found = compare_twins([ours], [theirs])
    assert found.organs["spleen"].comparison.difference.cases == 4
    assert found.organs["spleen"].comparison.verdict == "cannot tell"
    assert found.organs["liver"].comparison.verdict == "better"
    assert found.mean.comparison.difference.mean == pytest.approx(0.1)
