"""Eq. 11 and Eq. 12 to 17 of DVCL against loops, and what holds of the bound in Eq. 16."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from dvcl.losses.contrastive import bound_constant, distance_aware, prototype_contrast


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=random, dtype=torch.float64)


def cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))


@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_prototype_contrast_equals_the_loop(temperature):
    anchors, centre, negatives = normal(5, 4), normal(4, seed=1), normal(7, 4, seed=2)
    drawn = torch.randint(7, (5, 6), generator=torch.Generator().manual_seed(3))
    found = prototype_contrast(anchors, centre, negatives, drawn, temperature)
    for m in range(5):
        anchor = anchors[m].tolist()
        positive = math.exp(cosine(anchor, centre.tolist()) / temperature)
        others = [
            math.exp(cosine(anchor, negatives[n].tolist()) / temperature) for n in drawn[m].tolist()
        ]
        assert found[m].item() == pytest.approx(-math.log(positive / (positive + sum(others))))


def test_prototype_contrast_by_hand():
    anchors = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    centre, negatives = torch.tensor([2.0, 0.0]), torch.tensor([[0.0, 5.0]])
    drawn = torch.zeros(2, 2, dtype=torch.int64)
    found = prototype_contrast(anchors, centre, negatives, drawn, 1.0)
    # The first anchor lies on the centre, the second on the negative, which counts twice.
    expected = [math.log(1 + 2 / math.e), math.log(1 + 2 * math.e)]
    assert found.tolist() == pytest.approx(expected)


def test_prototype_contrast_has_the_documented_range():
    axis, drawn = torch.tensor([[1.0, 0.0]]), torch.zeros(1, 50, dtype=torch.int64)
    best = prototype_contrast(axis, axis[0], -axis, drawn, 1.0).item()
    worst = prototype_contrast(axis, -axis[0], axis, drawn, 1.0).item()
    equal = prototype_contrast(axis, axis[0], axis, drawn, 1.0).item()
    assert best == pytest.approx(math.log(1 + 50 * math.exp(-2)), rel=1e-6)
    assert worst == pytest.approx(math.log(1 + 50 * math.exp(2)), rel=1e-6)
    assert equal == pytest.approx(math.log(51), rel=1e-6)
    assert (round(best, 2), round(worst, 2)) == (2.05, 5.91)


def test_prototype_contrast_sees_directions_only():
    anchors, centre, negatives = normal(3, 4), normal(4, seed=1), normal(5, 4, seed=2)
    drawn = torch.arange(5).expand(3, 5)
    expected = prototype_contrast(anchors, centre, negatives, drawn, 1.0)
    scaled = prototype_contrast(7 * anchors, centre / 9, 0.1 * negatives, drawn.flip(1), 1.0)
    torch.testing.assert_close(scaled, expected)


def test_gradients_of_prototype_contrast():
    drawn = torch.tensor([[0, 1], [1, 1], [2, 0]])
    inputs = [x.requires_grad_() for x in (normal(3, 4), normal(4, seed=1), normal(3, 4, seed=2))]
    assert gradcheck(lambda a, c, n: prototype_contrast(a, c, n, drawn, 0.5), inputs)


def probabilities(*shape: int, seed: int = 0) -> torch.Tensor:
    return (2 * normal(*shape, seed=seed)).softmax(-1)


def dot(a: torch.Tensor, b: torch.Tensor) -> float:
    return sum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True))


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize(("neighbours", "outsiders"), [(10, 15), (5, 5), (3, 1)])
def test_distance_aware_equals_the_loop(neighbours, outsiders, reduction):
    queries = probabilities(4, 6)
    near = probabilities(4, neighbours, 6, seed=1)
    far = probabilities(4, outsiders, 6, seed=2)
    found = distance_aware(queries, near, far, reduction)
    per_near, per_far = (1, 1) if reduction == "sum" else (neighbours, outsiders)
    for m in range(4):
        attraction = sum(dot(queries[m], p) for p in near[m]) / per_near
        repulsion = sum(dot(queries[m], p) for p in far[m]) / per_far
        assert found[m].item() == pytest.approx(repulsion - attraction, rel=1e-12)


def test_distance_aware_by_hand():
    query = torch.tensor([[0.75, 0.25]])
    near, far = torch.tensor([[[1.0, 0.0], [0.5, 0.5]]]), torch.tensor([[[0.0, 1.0]]])
    assert distance_aware(query, near, far).item() == pytest.approx(0.25 - (0.75 + 0.5))
    mean = distance_aware(query, near, far, "mean").item()
    assert mean == pytest.approx(0.25 - (0.75 + 0.5) / 2)


@pytest.mark.parametrize(("reduction", "low", "high"), [("sum", -10, 15), ("mean", -1, 1)])
def test_distance_aware_reaches_the_ends_of_its_range(reduction, low, high):
    one, other = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    agreed = distance_aware(one[None], one.expand(1, 10, 2), other.expand(1, 15, 2), reduction)
    opposed = distance_aware(one[None], other.expand(1, 10, 2), one.expand(1, 15, 2), reduction)
    assert (agreed.item(), opposed.item()) == (low, high)


def test_gradient_of_distance_aware_is_outsiders_minus_neighbours():
    queries = probabilities(3, 5).requires_grad_()
    near, far = probabilities(3, 4, 5, seed=1), probabilities(3, 6, 5, seed=2)
    distance_aware(queries, near, far).sum().backward()
    torch.testing.assert_close(queries.grad, far.sum(1) - near.sum(1))
    assert gradcheck(lambda q: distance_aware(q, near, far, "mean"), queries)


def psi_of(query, near, far, pool) -> torch.Tensor:
    """Eq. 15 through the likelihoods of Eq. 12 and 14, as they are printed."""
    normaliser = sum(torch.exp(query @ q) for q in pool)
    likelihood_near = math.prod([torch.exp(query @ n) / normaliser for n in near])
    likelihood_far = math.prod([torch.exp(query @ k) / normaliser for k in far])
    return -torch.log(likelihood_near / likelihood_far)


def bounds(neighbours: int, outsiders: int, seed: int) -> tuple[float, float, float, float]:
    """psi, the second line of Eq. 16 after Jensen's step, psi-bar, and psi-bar's variable part."""
    pool = probabilities(40, 4, seed=seed)
    query, near, far = pool[0], pool[1 : 1 + neighbours], pool[20 : 20 + outsiders]
    base = distance_aware(query[None], near[None], far[None]).item()
    mean = (pool @ query).mean().item()
    jensen = base + (neighbours - outsiders) * (math.log(40) + mean)
    bar = base + bound_constant(neighbours, outsiders, 40)
    return psi_of(query, near, far, pool).item(), jensen, bar, base


@pytest.mark.parametrize("seed", range(20))
def test_with_fewer_neighbours_than_outsiders_the_bound_is_a_lower_one(seed):
    psi, jensen, bar, _ = bounds(10, 15, seed)
    assert psi <= jensen + 1e-12
    assert bar < psi
    assert psi - bar <= 5


@pytest.mark.parametrize("seed", range(20))
def test_with_as_many_neighbours_as_outsiders_psi_is_the_loss_itself(seed):
    psi, jensen, bar, base = bounds(7, 7, seed)
    assert psi == pytest.approx(base, abs=1e-12)
    assert jensen == bar == base


@pytest.mark.parametrize("seed", range(20))
def test_with_more_neighbours_only_the_end_of_the_derivation_holds(seed):
    psi, jensen, bar, _ = bounds(15, 10, seed)
    assert psi > jensen
    assert psi < bar


def test_the_constant_changes_no_gradient_and_psi_has_another_one():
    pool = probabilities(40, 4)
    gradients = []
    for constant in (0.0, bound_constant(10, 15, 40)):
        query = pool[0].clone().requires_grad_()
        (distance_aware(query[None], pool[None, 1:11], pool[None, 20:35]) + constant).backward()
        gradients.append(query.grad)
    torch.testing.assert_close(*gradients)
    # What the bound gives up: psi itself also attracts to the whole pool.
    query = pool[0].clone().requires_grad_()
    psi_of(query, pool[1:11], pool[20:35], pool).backward()
    weights = (pool @ pool[0]).softmax(0)
    torch.testing.assert_close(query.grad, gradients[0] - 5 * weights @ pool)


def test_the_constant_by_hand():
    assert bound_constant(10, 15, 1) == -5
    assert bound_constant(10, 10, 1000) == 0
    assert bound_constant(10, 15, 2_000_000) == pytest.approx(-77.5, abs=0.1)
