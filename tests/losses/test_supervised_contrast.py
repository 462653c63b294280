"""UGPCL's contrast with labelled memories against a loop."""

import math

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn import functional as F

from dvcl.losses.supervised_contrast import supervised_contrast


def case(anchors: int, memories: int, classes: int = 4, seed: int = 0):
    random = torch.Generator().manual_seed(seed)

    def unit(count):
        rows = torch.randn(count, 5, generator=random, dtype=torch.float64)
        return F.normalize(rows, dim=1)

    def names(count):
        return torch.randint(classes, (count,), generator=random)

    return unit(anchors), names(anchors), unit(memories), names(memories)


def by_loop(anchors, anchor_classes, memories, memory_classes, temperature) -> list[float]:
    losses = []
    for anchor, c in zip(anchors.tolist(), anchor_classes.tolist(), strict=True):
        same, others = [], 0.0
        for row, k in zip(memories.tolist(), memory_classes.tolist(), strict=True):
            s = sum(a * m for a, m in zip(anchor, row, strict=True)) / temperature
            if k == c:
                same.append(s)
            else:
                others += math.exp(s)
        terms = [math.log(math.exp(s) + others) - s for s in same]
        losses.append(sum(terms) / len(terms) if terms else 0.0)
    return losses


@pytest.mark.parametrize("temperature", [0.07, 1.0])
@pytest.mark.parametrize(("anchors", "memories"), [(1, 1), (1, 7), (9, 30), (30, 4)])
def test_it_equals_the_loop(anchors, memories, temperature):
    sets = case(anchors, memories)
    found = supervised_contrast(*sets, temperature)
    assert found.tolist() == pytest.approx(by_loop(*sets, temperature), rel=1e-9, abs=1e-12)


def test_without_positives_or_negatives_it_is_0_and_finite():
    anchors, _, memories, _ = case(3, 5)
    anchors.requires_grad_()
    zeros, ones = torch.zeros(3, dtype=torch.int64), torch.ones(5, dtype=torch.int64)
    for mine in (zeros, zeros + 1):  # no positives, then no negatives
        loss = supervised_contrast(anchors, mine, memories, ones, 0.07).sum()
        loss.backward()
        assert loss.item() == pytest.approx(0, abs=1e-12)
        assert anchors.grad.isfinite().all()
    empty = supervised_contrast(anchors, zeros, memories[:0], ones[:0], 0.07)
    assert empty.tolist() == [0, 0, 0]
    assert supervised_contrast(anchors[:0], zeros[:0], memories, ones, 0.07).shape == (0,)


def test_equal_features():
    rows = F.normalize(torch.ones(4, 3, dtype=torch.float64), dim=1)
    classes = torch.tensor([1, 1, 2, 3])
    found = supervised_contrast(rows[:1], classes[:1], rows, classes, 0.07)
    assert found.item() == pytest.approx(math.log(3))


def test_the_class_attracts_and_the_others_repel():
    memories = torch.eye(2, dtype=torch.float64)
    anchor = F.normalize(torch.tensor([[1.0, 1.0]], dtype=torch.float64), dim=1).requires_grad_()
    loss = supervised_contrast(anchor, torch.tensor([0]), memories, torch.tensor([0, 1]), 1.0)
    (gradient,) = torch.autograd.grad(loss.sum(), anchor)
    assert gradient[0, 0] < 0 < gradient[0, 1]


def test_gradients():
    anchors, mine, memories, theirs = case(4, 6)
    anchors.requires_grad_()
    assert gradcheck(lambda x: supervised_contrast(x, mine, memories, theirs, 0.5), anchors)
