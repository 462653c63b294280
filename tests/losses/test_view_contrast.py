"""NNCLR and SNCLR against loops; the tiled normaliser against the whole matrix."""

import math

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn import functional as F

from dvcl.losses import view_contrast
from dvcl.losses.view_contrast import (
    log_normaliser,
    nearest_neighbour_contrast,
    soft_neighbour_contrast,
)


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(shape, generator=random, dtype=torch.float64), dim=-1)


def dot(a: torch.Tensor, b: torch.Tensor) -> float:
    return sum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True))


@pytest.mark.parametrize("temperature", [1.0, 0.1])
@pytest.mark.parametrize("voxels", [1, 6])
def test_nearest_neighbour_contrast_equals_the_loop(voxels, temperature):
    nearest, predicted = unit(voxels, 4), unit(voxels, 4, seed=1)
    expected = 0.0
    for m in range(voxels):
        scores = [math.exp(dot(nearest[m], g) / temperature) for g in predicted]
        expected -= math.log(scores[m] / sum(scores)) / voxels
    found = nearest_neighbour_contrast(nearest, predicted, temperature).item()
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_equal_predictions_are_chance():
    same = unit(1, 4).expand(8, 4)
    loss = nearest_neighbour_contrast(unit(8, 4, seed=1), same, 0.1)
    assert loss.item() == pytest.approx(math.log(8))
    neighbours, weights = same.unsqueeze(1).expand(-1, 3, -1), torch.full((8, 3), 1 / 3)
    loss = soft_neighbour_contrast(unit(8, 4, seed=1), same, neighbours, weights.double(), 0.2)
    assert loss.item() == pytest.approx(2 * 0.2 * 2 * math.log(8 * 4))


@pytest.mark.parametrize("temperature", [1.0, 0.2])
@pytest.mark.parametrize("voxels", [1, 5])
def test_soft_neighbour_contrast_equals_the_loop(voxels, temperature):
    predicted, keys = unit(voxels, 4), unit(voxels, 4, seed=1)
    neighbours = unit(voxels, 3, 4, seed=2)
    weights = torch.rand((voxels, 3), generator=torch.Generator().manual_seed(3)).double()
    expected = 0.0
    for m in range(voxels):
        everything = [*keys, *neighbours.flatten(0, 1)]
        total = sum(math.exp(dot(predicted[m], key) / temperature) for key in everything)

        def surprise(key, m=m, total=total):
            return -math.log(math.exp(dot(predicted[m], key) / temperature) / total)

        expected += surprise(keys[m])
        expected += sum(weights[m, k].item() * surprise(neighbours[m, k]) for k in range(3))
    expected *= 2 * temperature / voxels
    found = soft_neighbour_contrast(predicted, keys, neighbours, weights, temperature).item()
    assert found == pytest.approx(expected, rel=1e-10)


def test_gradients_go_to_the_predictions():
    predicted, keys, neighbours = unit(4, 3), unit(4, 3, seed=1), unit(4, 2, 3, seed=2)
    weights = torch.full((4, 2), 0.5).double()
    predicted.requires_grad_()
    assert gradcheck(lambda p: nearest_neighbour_contrast(keys, p, 0.5), predicted)
    assert gradcheck(
        lambda p: soft_neighbour_contrast(p, keys, neighbours, weights, 0.5), predicted
    )


def test_the_tiled_normaliser_equals_the_whole_matrix_and_keeps_none_of_it(monkeypatch):
    monkeypatch.setattr(view_contrast, "TILE", 4)
    queries, keys = unit(10, 3).requires_grad_(), unit(500, 3, seed=1)
    saved = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        saved.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        found = log_normaliser(queries, keys, 0.2)
    assert max(saved, default=0) <= keys.numel()
    expected = (queries @ keys.T / 0.2).logsumexp(1)
    torch.testing.assert_close(found, expected)
    for _ in range(2):  # gradients of single terms are measured before the step's own
        gradient = torch.autograd.grad(found.sum(), queries, retain_graph=True)
        torch.testing.assert_close(gradient, torch.autograd.grad(expected.sum(), queries,
                                                                 retain_graph=True))  # fmt: skip
