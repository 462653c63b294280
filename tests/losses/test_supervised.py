"""Dice and cross-entropy against loops written from their formulas."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from dvcl.losses.supervised import dice_loss, supervised_loss


def dice_by_loop(probabilities: torch.Tensor, labels: torch.Tensor) -> float:
    batch, classes, *space = probabilities.shape
    losses = []
    for c in range(classes):
        shared = sizes = 0.0
        for b in range(batch):
            for voxel in np.ndindex(*space):
                p = probabilities[(b, c, *voxel)].item()
                y = float(labels[(b, *voxel)].item() == c)
                shared += p * y
                sizes += p * p + y * y
        losses.append(1 - (2 * shared + 1e-5) / (sizes + 1e-5))
    return sum(losses) / classes


def cross_entropy_by_loop(probabilities: torch.Tensor, labels: torch.Tensor) -> float:
    voxels = list(np.ndindex(*labels.shape))
    return -sum(
        math.log(probabilities[b, labels[b, d, h, w], d, h, w].item()) for b, d, h, w in voxels
    ) / len(voxels)


def random_case(classes: int, shape: tuple[int, ...], seed: int = 0):
    random = torch.Generator().manual_seed(seed)
    batch, *space = shape
    logits = 2 * torch.randn(batch, classes, *space, generator=random, dtype=torch.float64)
    return logits.log_softmax(1), torch.randint(classes, shape, generator=random)


@pytest.mark.parametrize("classes", [2, 3, 14])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 2, 4), (3, 1, 5, 2)])
def test_losses_equal_the_loops(classes, shape):
    logs, labels = random_case(classes, shape)
    dice = dice_by_loop(logs.exp(), labels)
    entropy = cross_entropy_by_loop(logs.exp(), labels)
    assert dice_loss(logs.exp(), labels).item() == pytest.approx(dice, rel=1e-12)
    assert supervised_loss(logs, labels).item() == pytest.approx((dice + entropy) / 2, rel=1e-12)


def test_two_voxels_by_hand():
    probabilities = torch.tensor([[0.8, 0.4], [0.2, 0.6]], dtype=torch.float64)
    logs = probabilities.log().reshape(1, 2, 1, 1, 2)
    labels = torch.tensor([0, 1]).reshape(1, 1, 1, 2)
    dice = ((1 - 1.6 / 1.8) + (1 - 1.2 / 1.4)) / 2
    entropy = -(math.log(0.8) + math.log(0.6)) / 2
    assert dice_loss(logs.exp(), labels).item() == pytest.approx(dice, abs=1e-5)
    assert supervised_loss(logs, labels).item() == pytest.approx((dice + entropy) / 2, abs=1e-5)


def test_a_perfect_prediction_costs_nothing_and_a_wrong_one_everything():
    labels = torch.tensor([0, 1, 2, 1]).reshape(1, 1, 2, 2)
    perfect = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).double()
    assert dice_loss(perfect, labels).item() == pytest.approx(0, abs=1e-12)
    assert dice_loss(perfect.roll(1, dims=1), labels).item() == pytest.approx(1, abs=1e-4)


def test_a_class_that_is_absent_and_not_predicted_costs_nothing():
    labels = torch.zeros(1, 2, 2, 2, dtype=torch.int64)
    certain = torch.zeros(1, 3, 2, 2, 2, dtype=torch.float64)
    certain[:, 0] = 1
    assert dice_loss(certain, labels).item() == pytest.approx(0, abs=1e-12)
    # One hundredth of probability on each absent class makes both count as wholly missed.
    hesitant = certain.clone()
    hesitant[:, 0], hesitant[:, 1:] = 0.98, 0.01
    missed = 1 - 1e-5 / (8 * 0.01**2 + 1e-5)
    assert dice_loss(hesitant, labels).item() == pytest.approx(2 * missed / 3, abs=1e-3)


def test_equal_probabilities():
    labels = torch.tensor([0, 1, 1, 1]).reshape(1, 1, 2, 2)
    equal = torch.full((1, 2, 1, 2, 2), 0.5, dtype=torch.float64)
    by_hand = ((1 - 1 / (1 + 1)) + (1 - 3 / (1 + 3))) / 2
    assert dice_loss(equal, labels).item() == pytest.approx(by_hand, abs=1e-5)


def test_sums_run_over_the_whole_batch():
    logs, labels = random_case(3, (2, 2, 2, 3))
    side_by_side = torch.cat(list(logs), dim=-1).unsqueeze(0)
    joined = torch.cat(list(labels), dim=-1).unsqueeze(0)
    torch.testing.assert_close(supervised_loss(logs, labels), supervised_loss(side_by_side, joined))


def test_the_order_of_classes_and_voxels_is_irrelevant():
    logs, labels = random_case(4, (2, 3, 3, 3))
    order = torch.tensor([2, 0, 3, 1])
    renamed = order.argsort()[labels]
    expected = supervised_loss(logs, labels)
    torch.testing.assert_close(supervised_loss(logs[:, order], renamed), expected)
    torch.testing.assert_close(supervised_loss(logs.flip(2, 4), labels.flip(1, 3)), expected)


def test_gradients():
    logs, labels = random_case(3, (2, 2, 1, 2))
    logits = logs.detach().requires_grad_()
    assert gradcheck(lambda x: supervised_loss(x.log_softmax(1), labels), logits)
    assert gradcheck(lambda x: dice_loss(x.softmax(1), labels), logits)


def test_very_confident_mistakes_stay_finite():
    logits = torch.tensor([200.0, -200.0]).reshape(1, 2, 1, 1, 1).requires_grad_()
    loss = supervised_loss(logits.log_softmax(1), torch.ones(1, 1, 1, 1, dtype=torch.int64))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()
