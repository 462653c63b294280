"""Class weights of CLD and DHC against their formulas, class by class."""

import math

import numpy as np
import pytest
import torch

from dvcl.losses.class_weights import (
    difficulty_weights,
    distribution_weights,
    hard_dice,
    rarity_weights,
)


def counts_of(*numbers: int) -> torch.Tensor:
    return torch.tensor(numbers)


@pytest.mark.parametrize("power", [0.0, 1 / 3, 1.0])
def test_rarity_equals_the_formula(power):
    counts = counts_of(80_000_000_000, 1000, 8, 1)
    expected = [(80_000_000_000 / n) ** power for n in counts.tolist()]
    torch.testing.assert_close(rarity_weights(counts, power), torch.tensor(expected))


def test_a_class_not_yet_seen_weighs_as_the_rarest_one_seen():
    assert rarity_weights(counts_of(1000, 0, 8), 1 / 3).tolist() == pytest.approx([1, 5, 5])
    assert rarity_weights(counts_of(7, 0, 0), 1 / 3).tolist() == [1, 1, 1]


@pytest.mark.parametrize("counts", [(900, 90, 9), (5, 1, 70, 70), (900, 0, 9), (1, 2)])
@pytest.mark.parametrize("smallest", [0, 1, 50])
def test_distribution_equals_the_formula(counts, smallest):
    raised = [max(n, smallest) for n in counts]
    rarity = [math.log((max(raised) + 1e-8) / (n + 1e-8)) for n in raised]
    expected = [len(counts) * r / max(rarity) if max(rarity) > 0 else len(counts) for r in rarity]
    found = distribution_weights(counts_of(*counts), smallest).tolist()
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_the_most_frequent_class_gets_nothing_and_the_rarest_everything():
    found = distribution_weights(counts_of(10_000, 100, 1)).tolist()
    assert found == pytest.approx([0, 1.5, 3])
    # An absent class presses the others together, unless counts are raised.
    found = distribution_weights(counts_of(10_000, 100, 0)).tolist()
    assert found[1] < 0.6
    assert distribution_weights(counts_of(10_000, 100, 0), 1).tolist() == pytest.approx([0, 1.5, 3])


def test_equal_counts_give_equal_weights():
    assert distribution_weights(counts_of(4, 4, 4)).tolist() == [3, 3, 3]


def test_difficulty_equals_the_formula():
    random = np.random.default_rng(0)
    learning, unlearning, hardness = random.random((3, 5))
    learning[0] = unlearning[1] = 0
    raw = [
        ((u + 1e-8) / (g + 1e-8)) ** 0.2 * h
        for g, u, h in zip(learning, unlearning, hardness, strict=True)
    ]
    found = difficulty_weights(*map(torch.from_numpy, (learning, unlearning, hardness)), 0.2)
    assert found.tolist() == pytest.approx([5 * r / max(raw) for r in raw], rel=1e-9)
    assert found.max() == 5


def test_a_class_that_falls_weighs_more_than_one_that_rises():
    half = torch.full((2,), 0.5)
    found = difficulty_weights(torch.tensor([0.2, 0.0]), torch.tensor([0.0, 0.2]), half, 0.2)
    assert found[1] == 2
    assert found[0] < 0.1


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 4, 2)])
def test_hard_dice_equals_the_loop(shape):
    random = torch.Generator().manual_seed(0)
    predicted, labels = (torch.randint(3, shape, generator=random) for _ in range(2))
    expected = []
    for c in range(5):
        mine, true = (predicted == c).numpy(), (labels == c).numpy()
        tp, fp, fn = (mine & true).sum(), (mine & ~true).sum(), (~mine & true).sum()
        expected.append((2 * tp + 1e-8) / (2 * tp + fp + fn + 1e-8 + 1e-8))
    found = hard_dice(predicted, labels, 5).tolist()
    assert found == pytest.approx(expected, rel=1e-5)
    # Classes 3 and 4 are in neither map.
    assert found[3:] == [0.5, 0.5]
