"""The class-weighted supervised loss against loops written from its formulas."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from dvcl.losses.class_weighted import (
    weighted_cross_entropy,
    weighted_dice_loss,
    weighted_supervised_loss,
)
from dvcl.losses.cross_supervision import cross_supervision


def random_case(classes: int, shape: tuple[int, ...], seed: int = 0):
    random = torch.Generator().manual_seed(seed)
    batch, *space = shape
    logits = 2 * torch.randn(batch, classes, *space, generator=random, dtype=torch.float64)
    weights = 3 * torch.rand(classes, generator=random, dtype=torch.float64)
    return logits.log_softmax(1), torch.randint(classes, shape, generator=random), weights


def cross_entropy_by_loop(logs, labels, weights) -> float:
    total = weight = 0.0
    for b, d, h, w in np.ndindex(*labels.shape):
        c = labels[b, d, h, w].item()
        total -= weights[c].item() * logs[b, c, d, h, w].item()
        weight += weights[c].item()
    return total / weight


def dice_by_loop(logs, labels, weights) -> float:
    losses = []
    for c in range(1, len(weights)):
        tp = fp = fn = 0.0
        for b, d, h, w in np.ndindex(*labels.shape):
            p = math.exp(logs[b, c, d, h, w].item())
            y = float(labels[b, d, h, w].item() == c)
            tp, fp, fn = tp + p * y, fp + p * (1 - y), fn + (1 - p) * y
        losses.append(weights[c].item() * (1 - (2 * tp + 1) / (2 * tp + fp + fn + 1)))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("classes", [2, 3, 14])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 2, 4)])
def test_losses_equal_the_loops(classes, shape):
    logs, labels, weights = random_case(classes, shape)
    entropy = cross_entropy_by_loop(logs, labels, weights)
    dice = dice_by_loop(logs, labels, weights)
    assert weighted_cross_entropy(logs, labels, weights).item() == pytest.approx(entropy, rel=1e-9)
    assert weighted_dice_loss(logs.exp(), labels, weights).item() == pytest.approx(dice, rel=1e-9)
    both = weighted_supervised_loss(logs, labels, weights).item()
    assert both == pytest.approx((dice + entropy) / 2, rel=1e-9)


def test_two_voxels_by_hand():
    probabilities = torch.tensor([[0.8, 0.4], [0.2, 0.6]], dtype=torch.float64)
    logs = probabilities.log().reshape(1, 2, 1, 1, 2)
    labels = torch.tensor([0, 1]).reshape(1, 1, 1, 2)
    weights = torch.tensor([1.0, 3.0], dtype=torch.float64)
    entropy = -(math.log(0.8) + 3 * math.log(0.6)) / 4
    dice = 3 * (1 - (2 * 0.6 + 1) / (0.8 + 1 + 1))
    assert weighted_cross_entropy(logs, labels, weights).item() == pytest.approx(entropy)
    assert weighted_dice_loss(logs.exp(), labels, weights).item() == pytest.approx(dice)


def test_voxels_without_weight_cost_nothing():
    logs, _, _ = random_case(3, (1, 2, 2, 2))
    logits = logs.detach().requires_grad_()
    labels = torch.zeros(1, 2, 2, 2, dtype=torch.int64)
    weights = torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64)
    loss = weighted_cross_entropy(logits.log_softmax(1), labels, weights)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.abs().max() == 0


def test_an_absent_class_that_is_not_predicted_costs_nothing():
    labels = torch.zeros(1, 2, 2, 2, dtype=torch.int64)
    certain = torch.zeros(1, 3, 2, 2, 2, dtype=torch.float64)
    certain[:, 0] = 1
    assert weighted_dice_loss(certain, labels, torch.ones(3, dtype=torch.float64)).item() == 0


def test_equal_weights_are_no_weights():
    logs, labels, _ = random_case(4, (2, 2, 3, 2))
    equal = torch.full((4,), 2.5, dtype=torch.float64)
    plain = torch.nn.functional.nll_loss(logs, labels)
    torch.testing.assert_close(weighted_cross_entropy(logs, labels, equal), plain)
    torch.testing.assert_close(cross_supervision(logs, labels, equal[labels]), 2.5 * plain)


def test_gradients():
    logs, labels, weights = random_case(3, (2, 2, 1, 2))
    logits = logs.detach().requires_grad_()
    assert gradcheck(lambda x: weighted_supervised_loss(x.log_softmax(1), labels, weights), logits)
