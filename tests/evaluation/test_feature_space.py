"""Class distances against loops; equal draws are equal, distinct and in place."""

import itertools
import math

import numpy as np
import pytest

from dvcl.evaluation.feature_space import (
    FEWEST,
    NOBODY,
    class_distances,
    draw_equally,
    unit_length,
)


def test_distances_are_those_of_loops() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(60, 5)).astype(np.float32)
    classes = random.integers(0, 3, 60)
    found = class_distances(features, classes, 3)
    groups = [[row.astype(float) for row in features[classes == index]] for index in range(3)]
    for a, b in itertools.product(range(3), repeat=2):
        means = [sum(groups[index]) / len(groups[index]) for index in (a, b)]
        assert found.centres[a, b] == pytest.approx(math.dist(*means), abs=1e-12)
    for index, group in enumerate(groups):
        distances = [math.dist(x, y) for x, y in itertools.combinations(group, 2)]
        assert found.farthest[index] == pytest.approx(max(distances))
        assert found.pairs[index] == pytest.approx(sum(distances) / len(distances))
    between = [found.centres[pair] for pair in ((0, 1), (0, 2), (1, 2))]
    assert found.between == pytest.approx(sum(between) / 3)
    assert found.within == pytest.approx(sum(found.pairs) / 3)


def test_absent_and_single_features_are_undefined_not_zero() -> None:
    features = np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
    found = class_distances(features, np.array([0, 2, 2]), 4)
    assert np.isnan(found.centres[[1, 3]]).all()
    assert np.isnan(found.centres[:, [1, 3]]).all()
    assert found.centres[0, 2] == pytest.approx(7.5)
    assert np.isnan(found.farthest[[0, 1, 3]]).all()
    assert found.farthest[2] == found.pairs[2] == found.within == pytest.approx(5)
    assert found.between == pytest.approx(7.5)


def test_unit_length() -> None:
    rows = unit_length(np.array([[3.0, 4.0], [0.0, 0.0]], dtype=np.float32))
    assert rows.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0]]


def cases() -> list[np.ndarray]:
    """Class 0 in both, 1 in the first alone, 2 rare, 3 too rare, 4 nowhere, and unknown voxels."""
    first, second = np.zeros((2, 4, 9, 8), dtype=np.uint8)
    first[1, :, :4] = 1
    first[2] = NOBODY
    second[1, 1], second[2, 3] = 2, 2
    first[3, 0, :4], second[3, 0, :4] = 3, 3
    return [first, second]


def test_equally_many_distinct_voxels_of_every_class_that_occurs_often_enough() -> None:
    labels = cases()
    rare = int((labels[1] == 2).sum())
    assert sum((label == 3).sum() for label in labels) < FEWEST < rare
    for asked, expected in ((12, 12), (10_000, rare)):
        drawn = draw_equally(labels, 5, asked, np.random.default_rng(0))
        classes = np.concatenate(drawn)[:, 0]
        assert np.bincount(classes, minlength=5).tolist() == [expected] * 3 + [0, 0]
        for label, rows in zip(labels, drawn, strict=True):
            assert (label[tuple(rows[:, 1:].T)] == rows[:, 0]).all()
            assert len({tuple(row) for row in rows.tolist()}) == len(rows)


def test_draws_are_uniform_over_all_cases_and_follow_the_generator() -> None:
    small, large = np.zeros((1, 4, 5), np.uint8), np.zeros((3, 4, 5), np.uint8)
    times = np.zeros(80)
    random = np.random.default_rng(1)
    for _ in range(1000):
        first, second = draw_equally([small, large], 1, 16, random)
        for rows, shift, shape in ((first, 0, small.shape), (second, 20, large.shape)):
            np.add.at(times, shift + np.ravel_multi_index(tuple(rows[:, 1:].T), shape), 1)
    # Each voxel is drawn with probability 1/5: 200 times, with a standard deviation of 12.6.
    assert times.sum() == 16_000
    assert np.abs(times - 200).max() < 60
    again = [
        np.concatenate(draw_equally([small, large], 1, 16, np.random.default_rng(seed))).tolist()
        for seed in (3, 3, 4)
    ]
    assert again[0] == again[1] != again[2]
