"""Eq. 1 to 4 of DVCL against loops written from the paper."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from dvcl.losses.entropy import (
    Selection,
    entropy_threshold,
    pseudo_label_weights,
    select_reliable,
    voxel_entropy,
)


def log_probabilities(classes: int, shape=(2, 3, 2, 4), seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    batch, *space = shape
    logits = 2 * torch.randn(batch, classes, *space, generator=random, dtype=torch.float64)
    return logits.log_softmax(1)


def selection_of(entropies, reliable) -> Selection:
    entropy = torch.tensor(entropies, dtype=torch.float64).reshape(1, 1, 1, -1)
    mask = torch.tensor(reliable).reshape(1, 1, 1, -1)
    return Selection(torch.zeros_like(mask, dtype=torch.int64), entropy, mask)


@pytest.mark.parametrize("classes", [2, 3, 14])
def test_entropy_and_threshold_equal_the_loops(classes):
    logs = log_probabilities(classes)
    entropies = []
    for b, d, h, w in np.ndindex(2, 3, 2, 4):
        p = [logs[b, c, d, h, w].exp().item() for c in range(classes)]
        entropies.append(sum(-value * math.log(value) for value in p))
    mean = sum(entropies) / len(entropies)
    spread = math.sqrt(sum((e - mean) ** 2 for e in entropies) / len(entropies))
    found = voxel_entropy(logs)
    assert found.flatten().tolist() == pytest.approx(entropies, rel=1e-12)
    for alpha in (0.0, 0.5, -1.0):
        expected = mean + alpha * spread
        assert entropy_threshold(found, alpha).item() == pytest.approx(expected, rel=1e-12)
    selection = select_reliable(logs, 0.5)
    assert selection.reliable.flatten().tolist() == [e <= mean + 0.5 * spread for e in entropies]
    torch.testing.assert_close(selection.pseudo_labels, logs.argmax(1))


def test_entropy_lies_between_certainty_and_indifference():
    equal = torch.zeros(1, 5, 1, 1, 1, dtype=torch.float64).log_softmax(1)
    assert voxel_entropy(equal).item() == pytest.approx(math.log(5))
    certain = torch.tensor([500.0, 0, 0]).reshape(1, 3, 1, 1, 1).log_softmax(1)
    assert voxel_entropy(certain).item() == 0
    halves = torch.tensor([0.5, 0.25, 0.25]).log().reshape(1, 3, 1, 1, 1)
    assert voxel_entropy(halves).item() == pytest.approx(1.5 * math.log(2))


def test_entropy_has_the_right_gradient():
    logits = log_probabilities(3, (1, 1, 2, 2)).requires_grad_()
    assert gradcheck(lambda x: voxel_entropy(x.log_softmax(1)), logits)


def test_a_larger_alpha_calls_more_voxels_reliable():
    logs = log_probabilities(4)
    shares = [select_reliable(logs, a).reliable.double().mean() for a in (-1, 0, 0.5, 1, 3)]
    assert shares == sorted(shares)
    assert shares[0] < shares[-1] == 1


@pytest.mark.parametrize("classes", [2, 3, 5, 14, 16])
@pytest.mark.parametrize("voxels", [1, 3, 100, 16**3])
@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_equal_entropies_are_at_the_threshold(voxels, classes, alpha):
    # Sums of equal float32 numbers round: their mean must still not fall below them.
    entropy = torch.full((2, 1, 1, voxels), math.log(classes))
    assert (entropy_threshold(entropy, alpha) == entropy).all()


def test_voxels_at_the_threshold_are_reliable():
    certain = torch.tensor([500.0, 0.0]).reshape(1, 2, 1, 1, 1).expand(1, 2, 3, 3, 3)
    assert select_reliable(certain.log_softmax(1), 0.5).reliable.all()
    # Two levels of entropy, as many voxels of each, alpha 1: the upper level is the threshold.
    levels = torch.tensor([[500.0, 0.0], [0.0, 0.0]]).reshape(1, 2, 1, 1, 2)
    assert select_reliable(levels.log_softmax(1), 1.0).reliable.all()
    assert select_reliable(levels.log_softmax(1), 0.9).reliable.tolist() == [[[[True, False]]]]


def test_the_statistics_are_those_of_all_patches_together():
    confident, hesitant = 5 * log_probabilities(3, seed=1), 0.1 * log_probabilities(3, seed=2)
    both = torch.cat([confident, hesitant]).log_softmax(1)
    reliable = select_reliable(both, 0.0).reliable
    assert reliable[:2].double().mean() > 0.8
    assert reliable[2:].double().mean() < 0.2


@pytest.mark.parametrize("base", [2.0, math.e])
@pytest.mark.parametrize("maximum", [1.0, 0.7])
@pytest.mark.parametrize("classes", [2, 4, 14])
def test_weights_equal_the_loop(classes, maximum, base):
    selection = select_reliable(log_probabilities(classes), 0.5)
    weights = pseudo_label_weights(selection, classes, maximum, base).flatten().tolist()
    logarithm = math.log(classes) / math.log(base)
    for weight, e, reliable in zip(
        weights,
        selection.entropy.flatten().tolist(),
        selection.reliable.flatten().tolist(),
        strict=True,
    ):
        expected = maximum if reliable else maximum * math.exp(-e / logarithm)
        assert weight == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("base", "lowest"), [(2.0, 0.5), (math.e, 1 / math.e)])
@pytest.mark.parametrize("classes", [2, 3, 14])
def test_weights_of_unreliable_voxels_have_the_documented_range(classes, base, lowest):
    extremes = selection_of([0.0, 1e-3, math.log(classes)], [True, False, False])
    weights = pseudo_label_weights(extremes, classes, 2.0, base).flatten()
    assert weights[0] == 2
    assert 1.99 < weights[1] < 2
    assert weights[2].item() == pytest.approx(2 * lowest)


def test_two_voxels_by_hand():
    # Entropies 0 and ln 2: mean 0.347, standard deviation 0.347, threshold 0.520 at alpha 0.5.
    logits = torch.tensor([[60.0, 0.0], [0.0, 0.0]]).reshape(1, 2, 1, 1, 2)
    selection = select_reliable(logits.log_softmax(1), 0.5)
    assert entropy_threshold(selection.entropy, 0.5).item() == pytest.approx(0.75 * math.log(2))
    assert selection.reliable.flatten().tolist() == [True, False]
    weights = pseudo_label_weights(selection, 2).flatten().tolist()
    assert weights == pytest.approx([1.0, 0.5])


def test_selection_and_weights_carry_no_gradient():
    logs = log_probabilities(3).requires_grad_()
    selection = select_reliable(logs, 0.5)
    assert not any(part.requires_grad for part in selection)
    assert not pseudo_label_weights(selection, 3).requires_grad
