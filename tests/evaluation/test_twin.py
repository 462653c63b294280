"""A method against its twin: the mean over organs as one question, organs as a family."""

import math

import numpy as np
import pytest

from dvcl.evaluation.cases import CaseScore
from dvcl.evaluation.statistics import compare_pairs
from dvcl.evaluation.twin import compare_twins

ORGANS = ("liver", "spleen")


def by_case(values: np.ndarray) -> dict[str, float]:
    return {f"case {number}": float(dice) for number, dice in enumerate(values)}


def scores(table: dict[str, np.ndarray]) -> list[CaseScore]:
    """Dice by organ and case."""
    return [
        CaseScore(f"case {number}", organ, float(dice), math.nan, 1.0, 1.0)
        for organ, values in table.items()
        for number, dice in enumerate(values)
    ]


def test_all_trainings_of_both_are_held_against_each_other() -> None:
    random = np.random.default_rng(0)
    ours = random.uniform(0.5, 0.9, (3, 2, 12))  # seeds, organs, cases
    theirs = random.uniform(0.4, 0.9, (2, 2, 12))
    found = compare_twins(
        *(
            [scores(dict(zip(ORGANS, seed, strict=True))) for seed in each]
            for each in (ours, theirs)
        )
    )
    pairs = {
        organ: tuple([by_case(seed[place]) for seed in each] for each in (ours, theirs))
        for place, organ in enumerate(ORGANS)
    }
    expected = compare_pairs(pairs)
    assert {organ: found.organs[organ].comparison for organ in ORGANS} == expected
    for organ, dice in zip(ORGANS, ours.mean((0, 2)), strict=True):
        assert found.organs[organ].dice == pytest.approx(dice)
    means = tuple([by_case(seed.mean(0)) for seed in each] for each in (ours, theirs))
    whole = compare_pairs({"mean": means})["mean"]
    assert found.mean.comparison.p_adjusted == pytest.approx(whole.p), "one question"
    assert found.mean.comparison.difference.mean == pytest.approx(ours.mean() - theirs.mean())
    assert found.mean.comparison.trainings == 2


def test_an_organ_counts_where_a_case_has_it() -> None:
    ours = scores({"liver": np.full(8, 0.8), "spleen": np.array([0.5] * 4 + [math.nan] * 4)})
    theirs = scores({"liver": np.full(8, 0.7), "spleen": np.array([0.4] * 4 + [math.nan] * 4)})
    found = compare_twins([ours], [theirs])
    assert found.organs["spleen"].comparison.difference.cases == 4
    assert found.organs["spleen"].comparison.shown == "cannot tell"
    assert found.organs["liver"].comparison.shown == "higher"
    assert found.organs["liver"].comparison.verdict == "cannot tell", "one training"
    assert found.mean.comparison.difference.mean == pytest.approx(0.1)
