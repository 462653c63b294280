"""The feature losses of DVCL's Table 8 against loops, by hand, and what they pull on."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from dvcl.losses.feature_contrast import info_nce, nt_xent, sim_clr

LOSSES = [info_nce, sim_clr, nt_xent]


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=random, dtype=torch.float64)


def by_loop(loss, near: list[float], far: list[float]) -> float:
    """One query, as printed."""
    total = 0.0
    for s in near:
        if loss is info_nce:
            denominator = math.exp(s) + sum(math.exp(k) for k in far)
        elif loss is nt_xent:
            denominator = sum(math.exp(other) for other in near + far)
        else:
            denominator = sum(math.exp(other) for other in near)
        total -= math.log(math.exp(s) / denominator) / len(near)
    if loss is sim_clr:
        spread = sum(math.exp(other) for other in far)
        total += sum(math.log(math.exp(k) / spread) for k in far) / len(far)
    return total


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("neighbours", "outsiders"), [(10, 15), (5, 5), (1, 1), (3, 1)])
def test_losses_equal_the_loop(loss, neighbours, outsiders):
    near, far = 3 * normal(4, neighbours), 3 * normal(4, outsiders, seed=1)
    found = loss(near, far)
    assert found.shape == (4,)
    for m in range(4):
        expected = by_loop(loss, near[m].tolist(), far[m].tolist())
        assert found[m].item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [(info_nce, math.log(16)), (nt_xent, math.log(25)), (sim_clr, math.log(10) - math.log(15))],
)
def test_all_equal_similarities_by_hand(loss, expected):
    found = loss(torch.full((2, 10), 0.3), torch.full((2, 15), 0.3))
    assert found.tolist() == pytest.approx([expected] * 2, abs=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_and_no_queries(loss):
    near, far = normal(3, 4).requires_grad_(), normal(3, 5, seed=1).requires_grad_()
    assert gradcheck(loss, (near, far))
    assert loss(near[:0], far[:0]).shape == (0,)


@pytest.mark.parametrize(("loss", "attracts"), [(info_nce, 1), (nt_xent, 1), (sim_clr, 0)])
def test_the_printed_simclr_does_not_attract_and_the_others_do(loss, attracts):
    near, far = normal(3, 4).requires_grad_(), normal(3, 5, seed=1).requires_grad_()
    loss(near, far).sum().backward()
    # A step along the gradient moves all similarities of a set together, or does not.
    assert (near.grad.sum(1) < -1e-3).all() == bool(attracts)
    assert (far.grad.sum(1) > 1e-3).all() == bool(attracts)
    if not attracts:
        torch.testing.assert_close(loss(near + 7, far - 5), loss(near, far))


def test_large_similarities_do_not_overflow():
    near, far = torch.full((1, 2), -1e4), torch.full((1, 3), 1e4)
    assert info_nce(near, far).item() == pytest.approx(2e4, rel=1e-3)
    assert nt_xent(near, far).item() == pytest.approx(2e4, rel=1e-3)
