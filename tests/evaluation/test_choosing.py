"""The order in which scans are labelled, against brute force and by hand."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from dvcl.evaluation.choosing import doubtfulness, farthest_first


def brute(features: np.ndarray, labelled: np.ndarray, weights: np.ndarray) -> list[int]:
    """Every distance of every scan, anew for each choice."""
    order: list[int] = []
    while len(order) < len(features):
        rows = [*labelled, *features[order]]
        best, most = -1, -1.0
        for index, row in enumerate(features):
            if index in order:
                continue
            far = min((np.sqrt(((row - one) ** 2).sum()) for one in rows), default=1.0)
            if weights[index] * far > most:
                best, most = index, weights[index] * far
        order.append(best)
    return order


def radius(features: np.ndarray, centres: np.ndarray) -> float:
    return float(np.linalg.norm(features[:, None] - centres[None], axis=2).min(1).max())


@pytest.mark.parametrize("labelled", [0, 1, 4])
@pytest.mark.parametrize("seed", range(3))
def test_the_order_is_that_of_brute_force(seed: int, labelled: int) -> None:
    random = np.random.default_rng([seed, labelled])
    features, known = random.normal(size=(12, 5)), random.normal(size=(labelled, 5))
    for weights in (np.ones(12), random.uniform(size=12)):
        found = farthest_first(features, known, weights)
        assert [choice.index for choice in found] == brute(features, known, weights)


@pytest.mark.parametrize("seed", range(5))
def test_with_equal_weights_no_scan_is_left_farther_than_twice_the_best(seed: int) -> None:
    random = np.random.default_rng(seed)
    features, known = random.normal(size=(9, 2)), random.normal(size=(2, 2))
    chosen = [choice.index for choice in farthest_first(features, known)[:3]]
    best = min(
        radius(features, np.concatenate([known, features[list(three)]]))
        for three in combinations(range(9), 3)
    )
    assert best <= radius(features, np.concatenate([known, features[chosen]])) <= 2 * best


def test_two_alike_are_not_both_chosen_first() -> None:
    features = np.array([[9.0], [9.0], [4.0], [0.5]])
    found = farthest_first(features, np.zeros((1, 1)), np.array([1.0, 0.9, 0.5, 1.0]))
    assert [choice.index for choice in found] == [0, 2, 3, 1]
    assert [choice.distance for choice in found] == [9, 4, 0.5, 0]


def test_a_doubtful_scan_outranks_a_farther_one_that_is_not() -> None:
    features = np.array([[3.0], [4.0]])
    (first, _) = farthest_first(features, np.zeros((1, 1)), np.array([1.0, 0.5]))
    assert first.index == 0


def test_doubtfulness_is_the_mean_of_ranks_whatever_the_units() -> None:
    uncertainty, disagreement = [0.1, 0.3, 0.2], [0.5, 0.5, 0.9]
    expected = [(1 + 1.5) / 6, (3 + 1.5) / 6, (2 + 3) / 6]
    assert doubtfulness(uncertainty, disagreement) == pytest.approx(expected)
    scaled = [1000 * value for value in uncertainty]
    assert doubtfulness(scaled, disagreement) == pytest.approx(expected)
