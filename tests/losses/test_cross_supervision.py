"""Eq. 5 of DVCL: who teaches, who learns, and with which weights."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from dvcl.losses.cross_supervision import cross_supervision
from dvcl.losses.entropy import pseudo_label_weights, select_reliable
from dvcl.losses.pseudo_labels import hard_labels

SHAPE = (2, 3, 2, 2)


def logits_of(seed: int, classes: int = 3) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    batch, *space = SHAPE
    return 2 * torch.randn(batch, classes, *space, generator=random, dtype=torch.float64)


def one_direction_by_loop(student, teacher, alpha, weighted) -> float:
    """Weight of the teacher's voxel times the student's cross-entropy with the teacher's label."""
    p, q = student.softmax(1).numpy(), teacher.softmax(1).numpy()
    entropies = -(q * np.log(q)).sum(1)
    threshold = entropies.mean() + alpha * entropies.std()
    total = 0.0
    for b, d, h, w in np.ndindex(*SHAPE):
        e = entropies[b, d, h, w]
        weight = math.exp(-e / math.log2(q.shape[1])) if weighted and e > threshold else 1.0
        total -= weight * math.log(p[b, q[b, :, d, h, w].argmax(), d, h, w])
    return total / math.prod(SHAPE)


@pytest.mark.parametrize("alpha", [-0.5, 0.5])
def test_both_directions_equal_the_loop(alpha):
    a, b = logits_of(1), logits_of(2)
    for student, teacher in ((a, b), (b, a)):
        chosen = select_reliable(teacher.log_softmax(1), alpha)
        weights = pseudo_label_weights(chosen, 3)
        found = cross_supervision(student.log_softmax(1), chosen.pseudo_labels, weights)
        expected = one_direction_by_loop(student, teacher, alpha, weighted=True)
        assert found.item() == pytest.approx(expected, rel=1e-12)
        plain = cross_supervision(student.log_softmax(1), chosen.pseudo_labels)
        expected = one_direction_by_loop(student, teacher, alpha, weighted=False)
        assert plain.item() == pytest.approx(expected, rel=1e-12)


def test_two_voxels_by_hand():
    student = torch.tensor([[0.9, 0.3], [0.1, 0.7]]).reshape(1, 2, 1, 1, 2).log()
    labels = torch.tensor([0, 0]).reshape(1, 1, 1, 2)
    weights = torch.tensor([1.0, 0.5]).reshape(1, 1, 1, 2)
    found = cross_supervision(student, labels, weights).item()
    assert found == pytest.approx(-(math.log(0.9) + 0.5 * math.log(0.3)) / 2)


def test_the_teacher_gets_no_gradient():
    teacher, student = logits_of(1).requires_grad_(), logits_of(2).requires_grad_()
    chosen = select_reliable(teacher.log_softmax(1), 0.5)
    weights = pseudo_label_weights(chosen, 3)
    cross_supervision(student.log_softmax(1), chosen.pseudo_labels, weights).backward()
    assert teacher.grad is None
    assert student.grad.abs().min() > 0


def test_weights_of_one_change_nothing_and_smaller_ones_shrink_the_loss():
    student, labels = logits_of(3).log_softmax(1), hard_labels(logits_of(4))
    plain = cross_supervision(student, labels)
    ones = torch.ones(SHAPE, dtype=torch.float64)
    torch.testing.assert_close(cross_supervision(student, labels, ones), plain)
    # Not divided by the sum of the weights.
    torch.testing.assert_close(cross_supervision(student, labels, ones / 4), plain / 4)


def test_agreement_costs_least():
    student = logits_of(5).log_softmax(1)
    agreed = cross_supervision(student, hard_labels(student))
    assert all(agreed <= cross_supervision(student, hard_labels(logits_of(s))) for s in range(9))


def test_gradients():
    labels = hard_labels(logits_of(1))
    weights = torch.rand(SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    logits = logits_of(2).requires_grad_()
    assert gradcheck(lambda x: cross_supervision(x.log_softmax(1), labels, weights), logits)


def test_hard_labels_are_the_first_of_equals_and_ignore_the_scale():
    scores = torch.tensor([[1.0, 0.0], [1.0, 2.0], [0.0, 2.0]]).reshape(1, 3, 1, 1, 2)
    assert hard_labels(scores).flatten().tolist() == [0, 1]
    logits = logits_of(6)
    torch.testing.assert_close(hard_labels(logits), logits.argmax(1))
    torch.testing.assert_close(hard_labels(logits.log_softmax(1)), hard_labels(logits))
