"""BaCon's temperatures, negatives and contrast against loops."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from dvcl.losses.centre_contrast import (
    balanced_temperatures,
    centre_contrast,
    reliable_negatives,
)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=random, dtype=torch.float64)


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    dot = sum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True))
    return dot / (math.hypot(*a.tolist()) * math.hypot(*b.tolist()))


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
def test_temperatures_equal_the_formula(progress):
    frequency = torch.tensor([400.0, 100.0, 0.0], dtype=torch.float64)
    found = balanced_temperatures(frequency, progress, 0.1, 0.0005).tolist()
    assert found == pytest.approx(
        [0.1 - (1 - progress) ** 2 * 0.0005 * math.sqrt(f) for f in (1.0, 0.25, 0.0)]
    )


def test_temperatures_without_any_frequency_are_all_the_same():
    assert balanced_temperatures(torch.zeros(3), 0.0).tolist() == pytest.approx([0.1] * 3)
    equal = balanced_temperatures(torch.full((3,), 9.0), 0.0).tolist()
    assert equal == pytest.approx([0.0995] * 3)


@pytest.mark.parametrize("possible", [1, 2, 3])
def test_reliable_negatives_equal_the_loop(possible):
    random = torch.Generator().manual_seed(0)
    labels = torch.randint(4, (2, 1, 2, 3), generator=random)
    logs = normal(1, 4, 2, 2, 2).log_softmax(1)
    voxels = torch.tensor([0, 11, 5, 5, 12, 19, 15])
    found = reliable_negatives(labels, logs, voxels, possible)
    assert found.shape == (4, 7)
    for p, voxel in enumerate(voxels.tolist()):
        if voxel < 12:
            may_be = {int(labels.flatten()[voxel])}
        else:
            values = logs[0].flatten(1)[:, voxel - 12].tolist()
            may_be = set(sorted(range(4), key=lambda c: -values[c])[:possible])
        assert {c for c in range(4) if not found[c, p]} == may_be


@pytest.mark.parametrize("weight", [1.0, 64.0])
def test_the_contrast_equals_the_loop(weight):
    anchors, centres, negatives = normal(5, 4), normal(5, 4, seed=1), normal(7, 4, seed=2)
    allowed = normal(5, 7, seed=3) > 0
    allowed[2] = False
    temperatures = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5], dtype=torch.float64)
    found = centre_contrast(anchors, centres, negatives, allowed, temperatures, 0.15, weight)
    expected = []
    for a in (0, 1, 3, 4):
        positive = math.exp(cosine(anchors[a], centres[a]) / temperatures[a].item())
        others = [
            math.exp(cosine(anchors[a], negatives[n]) / 0.15) for n in range(7) if allowed[a, n]
        ]
        mean = sum(others) / len(others)
        expected.append(-math.log(positive / (positive + weight * mean)))
    assert found.tolist() == pytest.approx(expected, rel=1e-10)


def test_the_contrast_by_hand():
    axes = torch.eye(2)
    one = torch.ones(1, 1, dtype=torch.bool)
    warm = torch.ones(1)
    # On the centre and across from the negative; then the other way round.
    best = centre_contrast(3 * axes[:1], axes[:1], axes[1:], one, warm, 1.0, 2.0).item()
    worst = centre_contrast(axes[1:], axes[:1], 5 * axes[1:], one, warm, 1.0, 2.0).item()
    assert best == pytest.approx(math.log(1 + 2 / math.e))
    assert worst == pytest.approx(math.log(1 + 2 * math.e))


def test_equal_features_cost_the_weight_alone_however_many_negatives():
    same = torch.ones(3, 4)
    for count in (1, 9):
        allowed = torch.ones(3, count, dtype=torch.bool)
        found = centre_contrast(same, same, torch.ones(count, 4), allowed, torch.full((3,), 0.1))
        assert found.tolist() == pytest.approx([math.log(65)] * 3)


def test_no_anchors_and_no_negatives_leave_nothing():
    nobody = torch.zeros(2, 3, dtype=torch.bool)
    warm = torch.ones(2, dtype=torch.float64)
    assert len(centre_contrast(normal(2, 4), normal(2, 4), normal(3, 4), nobody, warm)) == 0
    none = centre_contrast(normal(0, 4), normal(0, 4), normal(3, 4), nobody[:0], warm[:0])
    assert len(none) == 0


def test_gradients_of_the_contrast():
    allowed = torch.tensor([[True, False, True], [False, False, False], [True, True, True]])
    warm = torch.tensor([0.3, 0.4, 0.5], dtype=torch.float64)
    inputs = [normal(3, 4).requires_grad_(), normal(3, 4, seed=2).requires_grad_()]
    centres = normal(3, 4, seed=1)
    assert gradcheck(lambda a, n: centre_contrast(a, centres, n, allowed, warm, 0.5), inputs)
