"""U2PL's percentile and its cross-entropy of reliable voxels."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from dvcl.losses.reliable_supervision import percentile, reliable_supervision

SHAPE = (2, 3, 2, 2)


def case(seed: int = 0):
    random = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(2, 3, 3, 2, 2, generator=random, dtype=torch.float64)
    labels = torch.randint(3, SHAPE, generator=random)
    return logits, labels, torch.rand(SHAPE, generator=random) < 0.6


def test_it_equals_the_loop():
    logits, labels, reliable = case()
    logs = logits.log_softmax(1)
    total = kept = 0.0
    for b, d, h, w in np.ndindex(*SHAPE):
        if reliable[b, d, h, w]:
            total -= logs[b, labels[b, d, h, w], d, h, w].item()
            kept += 1
    expected = (math.prod(SHAPE) / kept) * (total / kept)
    found = reliable_supervision(logs, labels, reliable)
    assert found.item() == pytest.approx(expected, rel=1e-12)


def test_all_reliable_is_plain_cross_entropy_and_none_is_0():
    logits, labels, reliable = case()
    logs = logits.log_softmax(1)
    plain = torch.nn.functional.nll_loss(logs, labels)
    everything = reliable_supervision(logs, labels, torch.ones_like(reliable))
    torch.testing.assert_close(everything, plain)
    assert reliable_supervision(logs, labels, torch.zeros_like(reliable)).item() == 0


def test_unreliable_voxels_get_no_gradient():
    logits, labels, reliable = case()
    logits.requires_grad_()
    reliable_supervision(logits.log_softmax(1), labels, reliable).backward()
    moved = logits.grad.abs().sum(1) > 0
    assert torch.equal(moved, reliable)
    assert gradcheck(lambda x: reliable_supervision(x.log_softmax(1), labels, reliable), logits)


@pytest.mark.parametrize(
    ("share", "expected"), [(0, 1), (0.1, 1), (0.2, 2), (0.5, 5), (0.8, 8), (0.99, 10), (1, 10)]
)
def test_percentile_of_ten_values(share, expected):
    values = torch.tensor([3.0, 9, 1, 10, 2, 8, 7, 5, 4, 6]).reshape(2, 5)
    assert percentile(values, share).item() == expected


def test_percentile_of_one_value_and_of_equal_ones():
    assert percentile(torch.tensor([2.0]), 0.3).item() == 2
    equal = torch.full((7,), 0.5)
    assert (equal <= percentile(equal, 0.2)).all()


@pytest.mark.parametrize("share", [0.05, 0.2, 0.8])
def test_percentile_leaves_the_share_below(share):
    values = torch.rand(1000, generator=torch.Generator().manual_seed(0))
    assert (values <= percentile(values, share)).sum() == round(1000 * share)
