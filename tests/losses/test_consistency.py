"""The squared difference of two predictions against a loop over voxels."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from dvcl.losses.consistency import squared_difference

SHAPE = (2, 3, 2, 3, 2)


def probabilities(seed: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(SHAPE, generator=random, dtype=torch.float64).softmax(1)


def by_loop(p: torch.Tensor, q: torch.Tensor, mask: torch.Tensor) -> float:
    patches, classes, *space = p.shape
    total = chosen = 0.0
    for voxel in np.ndindex(patches, *space):
        if mask[voxel]:
            chosen += 1
            b, *place = voxel
            for c in range(classes):
                total += (p[(b, c, *place)].item() - q[(b, c, *place)].item()) ** 2
    return total / (classes * chosen + 1e-16)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_masked_and_whole_equal_the_loop(share):
    p, q = probabilities(0), probabilities(1)
    random = torch.Generator().manual_seed(2)
    mask = torch.rand((2, 2, 3, 2), generator=random) < share
    expected = by_loop(p, q, mask)
    assert squared_difference(p, q, mask).item() == pytest.approx(expected, rel=1e-12)
    if share == 1:
        assert squared_difference(p, q).item() == pytest.approx(expected, rel=1e-12)


def test_one_voxel_by_hand():
    p = torch.tensor([0.8, 0.2]).reshape(1, 2, 1, 1, 1)
    q = torch.tensor([0.5, 0.5]).reshape(1, 2, 1, 1, 1)
    for mask in (None, torch.ones(1, 1, 1, 1, dtype=torch.bool)):
        assert squared_difference(p, q, mask).item() == pytest.approx(0.09)


def test_an_empty_mask_gives_0_and_a_gradient_of_0():
    p = probabilities(0).float().requires_grad_()
    loss = squared_difference(p, probabilities(1).float(), torch.zeros(2, 2, 3, 2).bool())
    assert loss.item() == 0
    loss.backward()
    assert p.grad.abs().max() == 0


def test_equal_predictions_cost_nothing_and_opposite_ones_the_most():
    p = probabilities(0)
    assert squared_difference(p, p).item() == 0
    certain = torch.eye(2).reshape(1, 2, 1, 1, 2)
    assert squared_difference(certain, certain.flip(-1)).item() == 1


def test_gradients():
    p, q = probabilities(0).requires_grad_(), probabilities(1)
    mask = torch.rand((2, 2, 3, 2), generator=torch.Generator().manual_seed(2)) < 0.5
    assert gradcheck(lambda p: squared_difference(p, q, mask), p)
    squared_difference(p, q, mask).backward()
    outside = ~mask.unsqueeze(1).expand(SHAPE)
    assert p.grad[outside].abs().max() == 0
