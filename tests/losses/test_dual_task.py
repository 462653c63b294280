"""Dual-task consistency against a loop over patches, organs and voxels."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from dvcl.losses.dual_task import dual_task_consistency


def random_case(classes: int = 3, scale: float = 0.5) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(classes)
    shape = (2, classes, 2, 3, 2)
    probabilities = torch.randn(shape, generator=random, dtype=torch.float64).softmax(1)
    distances = scale * torch.randn(shape, generator=random, dtype=torch.float64)[:, 1:]
    return distances.clamp(-1, 1), probabilities


def by_loop(distances: torch.Tensor, probabilities: torch.Tensor, steepness: float) -> float:
    squares = []
    for b, organ, d, h, w in np.ndindex(*distances.shape):
        mask = 1 / (1 + math.exp(min(steepness * distances[b, organ, d, h, w].item(), 700)))
        squares.append((mask - probabilities[b, organ + 1, d, h, w].item()) ** 2)
    return sum(squares) / len(squares)


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("steepness", [1.0, 10.0, 1500.0])
def test_the_loss_equals_the_loop(classes, steepness):
    distances, probabilities = random_case(classes)
    found = dual_task_consistency(distances, probabilities, steepness).item()
    assert found == pytest.approx(by_loop(distances, probabilities, steepness), rel=1e-12)


def test_two_voxels_by_hand():
    distances = torch.tensor([-1.0, 0.0]).reshape(1, 1, 1, 1, 2)
    probabilities = torch.tensor([[0.25, 0.5], [0.75, 0.5]]).reshape(1, 2, 1, 1, 2)
    # Deep inside the mask is 1, on the boundary one half.
    found = dual_task_consistency(distances, probabilities, 1500.0)
    assert found.item() == pytest.approx((0.25**2 + 0) / 2)


def test_gradients_reach_both_and_distances_only_in_a_thin_band():
    distances, probabilities = (part.requires_grad_() for part in random_case(scale=0.003))
    assert gradcheck(
        lambda z, p: dual_task_consistency(z, p, 200.0), (distances, probabilities), atol=1e-5
    )
    far = torch.tensor([0.5, -0.5, 0.001]).reshape(1, 1, 1, 1, 3).requires_grad_()
    half = torch.full((1, 2, 1, 1, 3), 0.5).requires_grad_()
    dual_task_consistency(far, half, 1500.0).backward()
    assert (far.grad != 0).flatten().tolist() == [False, False, True]
    assert (half.grad[:, 0] == 0).all()
    assert (half.grad[:, 1] != 0).all()
