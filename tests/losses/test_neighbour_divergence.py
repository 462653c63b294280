"""The KL contrast and our reading of NCCL against loops and by hand."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from dvcl.losses.neighbour_divergence import kl_contrast, neighbour_consistency


def probabilities(*shape: int, seed: int = 0, sharpness: float = 2.0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    values = torch.randn(shape, generator=random, dtype=torch.float64)
    return (sharpness * values).softmax(-1)


def kl(p: list[float], q: list[float]) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


@pytest.mark.parametrize("dispersion", [0.0, 1.0, 0.3])
@pytest.mark.parametrize(("neighbours", "outsiders"), [(10, 15), (1, 1)])
def test_kl_contrast_equals_the_loop(neighbours, outsiders, dispersion):
    queries = probabilities(6, 5)
    near = probabilities(6, neighbours, 5, seed=1)
    far = probabilities(6, outsiders, 5, seed=2)
    found = kl_contrast(queries, near, far, dispersion)
    capped = 0
    for m in range(6):
        attraction = sum(kl(queries[m].tolist(), p.tolist()) for p in near[m]) / neighbours
        divergences = [kl(queries[m].tolist(), p.tolist()) for p in far[m]]
        capped += sum(value > math.log(5) for value in divergences)
        repulsion = sum(min(value, math.log(5)) for value in divergences) / outsiders
        assert found[m].item() == pytest.approx(attraction - dispersion * repulsion, rel=1e-10)
    assert 0 < capped < 6 * outsiders


def test_kl_contrast_by_hand():
    query = torch.tensor([[0.5, 0.5]])
    near, far = torch.tensor([[[0.25, 0.75]]]), torch.tensor([[[0.5, 0.5], [1.0, 0.0]]])
    attraction = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    # The second outsider is infinitely far away and counts ln 2.
    assert kl_contrast(query, near, far).item() == pytest.approx(attraction - math.log(2) / 2)


def test_equal_distributions_give_0_and_certain_ones_stay_finite():
    same = probabilities(3, 4)
    far = same.unsqueeze(1).expand(-1, 6, -1)
    torch.testing.assert_close(kl_contrast(same, far[:, :2], far), torch.zeros(3).double())
    certain = torch.eye(4)[:3].requires_grad_()
    others = torch.eye(4).roll(1, 0)[:3].unsqueeze(1)
    loss = kl_contrast(certain, others, others)
    loss.sum().backward()
    assert loss.isfinite().all()
    assert certain.grad.isfinite().all()


def test_gradients_of_kl_contrast_end_at_the_cap():
    queries = probabilities(3, 5, sharpness=1.0).requires_grad_()
    near = probabilities(3, 4, 5, seed=1, sharpness=1.0)
    assert gradcheck(lambda q: kl_contrast(q, near, near), queries)
    far = torch.tensor([1.0 - 4e-9, 1e-9, 1e-9, 1e-9, 1e-9]).double().expand(3, 2, 5)
    with_far, without = (
        torch.autograd.grad(kl_contrast(queries, near, far, weight).sum(), queries)[0]
        for weight in (1.0, 0.0)
    )
    torch.testing.assert_close(with_far, without)


def nccl_by_loop(p: list[list[float]], q: list[list[float]], temperature: float) -> float:
    count, classes = len(p), len(p[0])
    consistency = 0.0
    for mine, theirs in zip(p, q, strict=True):
        consistency -= sum(b * math.log(a) for a, b in zip(mine, theirs, strict=True)) / count
    present = [c for c in range(classes) if sum(row[c] for row in p) > 1e-3 * count]

    def column(rows, c):
        values = [row[c] for row in rows]
        length = math.hypot(*values)
        return [value / length for value in values]

    category = 0.0
    for c in present:
        similar = {
            other: sum(a * b for a, b in zip(column(p, c), column(q, other), strict=True))
            for other in present
        }
        total = sum(math.exp(s / temperature) for s in similar.values())
        category -= math.log(math.exp(similar[c] / temperature) / total) / len(present)
    return consistency + category


@pytest.mark.parametrize("temperature", [1.0, 0.2])
@pytest.mark.parametrize("absent", [False, True])
def test_neighbour_consistency_equals_the_loop(absent, temperature):
    p, q = probabilities(7, 4), probabilities(7, 4, seed=1)
    if absent:
        p = torch.tensor([1.0, 1.0, 1e-5, 1.0]) * p
        p = p / p.sum(1, keepdim=True)
    found = neighbour_consistency(p, q, temperature).item()
    assert found == pytest.approx(nccl_by_loop(p.tolist(), q.tolist(), temperature), rel=1e-10)


def test_neighbour_consistency_by_hand():
    p, q = torch.tensor([[0.5, 0.5], [0.5, 0.5]]), torch.tensor([[0.3, 0.7], [0.9, 0.1]])
    # Equal columns are as like their own as any other; one voxel has unit columns of length 1.
    assert neighbour_consistency(p[:1], q[:1], 1.0).item() == pytest.approx(2 * math.log(2))
    swapped = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    log = math.log(1e-12)
    expected = -log + math.log(1 + math.e)
    assert neighbour_consistency(swapped, swapped.flip(1), 1.0).item() == pytest.approx(expected)
    assert neighbour_consistency(swapped, swapped, 1.0).item() == pytest.approx(
        math.log(1 + math.exp(-1)), abs=1e-6
    )


def test_a_class_that_neither_has_and_a_single_class_stay_finite():
    only = torch.tensor([[1.0, 0.0, 0.0]]).repeat(4, 1).requires_grad_()
    loss = neighbour_consistency(only, torch.eye(3)[[1, 1, 2, 2]], 1.0)
    loss.backward()
    assert loss.isfinite()
    assert only.grad.isfinite().all()


def test_gradients_of_neighbour_consistency():
    p, q = probabilities(5, 4).requires_grad_(), probabilities(5, 4, seed=1)
    assert gradcheck(lambda p: neighbour_consistency(p, q, 0.5), p)
