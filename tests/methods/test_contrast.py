"""The contrastive halves of DVCL against loops with plain lists as memories."""

import math
from collections import deque

import pytest
import torch

from dvcl.errors import InputError
from dvcl.methods.contrast import DistanceContrast, HighQualityContrast

CLASSES, WIDTH = 3, 4


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def generator(seed: int = 7) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def high_quality(**changes) -> HighQualityContrast:
    settings = {"negatives": 6, "temperature": 0.5, "bank_size": 5} | {
        "detach_negatives": False, "remember_negatives": False
    }  # fmt: skip
    return HighQualityContrast(CLASSES, WIDTH, **settings | changes)


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    a, b = a.double(), b.double()
    return (a @ b / (a.norm() * b.norm())).item()


def high_quality_by_loop(banks, anchors, classes, negatives, wrong, random) -> float:
    """Eq. 8 to 11: banks are deques of rows; draws repeat those of the module."""
    means = []
    for c in range(CLASSES):
        mine = [row for row, k in zip(anchors.detach(), classes.tolist(), strict=True) if k == c]
        pool = [row for row, k in zip(negatives.detach(), wrong.tolist(), strict=True) if k == c]
        banks[c].extend(mine)
        if not mine or not pool:
            continue
        drawn = torch.randint(len(pool), (len(mine), 6), generator=random).tolist()
        centre = sum(row.double() for row in banks[c]) / len(banks[c])
        losses = []
        for anchor, choice in zip(mine, drawn, strict=True):
            positive = math.exp(cosine(anchor, centre) / 0.5)
            others = sum(math.exp(cosine(anchor, pool[n]) / 0.5) for n in choice)
            losses.append(-math.log(positive / (positive + others)))
        means.append(sum(losses) / len(losses))
    return sum(means) / len(means)


def test_high_quality_contrast_equals_the_loop_over_several_steps():
    module, banks = high_quality(), [deque(maxlen=5) for _ in range(CLASSES)]
    random, same = generator(), generator()
    for seed in range(4):
        anchors, negatives = normal(7, WIDTH, seed=seed), normal(5, WIDTH, seed=50 + seed)
        classes = torch.tensor([0, 0, 0, 1, 1, 2, 2])
        # Class 2 has no negatives and is left out of the mean, but enters its bank.
        wrong = torch.tensor([0, 0, 1, 1, 1])
        found = module(anchors, classes, negatives, wrong, random)
        expected = high_quality_by_loop(banks, anchors, classes, negatives, wrong, same)
        assert found.item() == pytest.approx(expected, rel=1e-5)
    assert [len(bank.content()) for bank in module.banks] == [5, 5, 5]


@pytest.mark.parametrize(
    ("anchor_classes", "negative_classes"), [([], []), ([0, 1], []), ([], [0]), ([0, 0], [1, 2])]
)
def test_a_class_lacking_anchors_or_negatives_is_skipped(anchor_classes, negative_classes):
    anchors = normal(len(anchor_classes), WIDTH).requires_grad_()
    negatives = normal(len(negative_classes), WIDTH, seed=1)
    names = [torch.tensor(c, dtype=torch.int64) for c in (anchor_classes, negative_classes)]
    loss = high_quality()(anchors, names[0], negatives, names[1], generator())
    assert loss.item() == 0
    loss.backward()
    assert anchors.grad.abs().sum() == 0


@pytest.mark.parametrize("detach", [False, True])
def test_gradients_reach_anchors_and_negatives_but_not_the_bank(detach):
    module = high_quality(detach_negatives=detach)
    anchors, negatives = (
        normal(4, WIDTH).requires_grad_(),
        normal(3, WIDTH, seed=1).requires_grad_(),
    )
    names = torch.zeros(4, dtype=torch.int64)
    module(anchors, names, negatives, names[:3], generator()).backward()
    assert anchors.grad.abs().min() > 0
    assert (negatives.grad is None) == detach
    # The centre is constant: an anchor's gradient is that of its own cosines alone.
    centre = module.banks[0].content().mean(0)
    drawn = torch.randint(3, (4, 6), generator=generator())
    again = anchors.detach().clone().requires_grad_()
    unit = torch.nn.functional.normalize
    sims = 2 * torch.cat(
        [
            (unit(again, dim=1) @ unit(centre, dim=0)).unsqueeze(1),
            (unit(again, dim=1) @ unit(negatives.detach(), dim=1).T).gather(1, drawn),
        ],
        dim=1,
    )
    (-sims.log_softmax(1)[:, 0]).mean().backward()
    torch.testing.assert_close(anchors.grad, again.grad)


def test_earlier_negatives_stand_in_only_when_they_are_remembered():
    names, none = torch.zeros(3, dtype=torch.int64), torch.empty(0, dtype=torch.int64)
    for remember in (False, True):
        module = high_quality(remember_negatives=remember)
        module(normal(3, WIDTH), names, normal(2, WIDTH, seed=1), names[:2], generator())
        found = module(normal(3, WIDTH, seed=2), names, normal(0, WIDTH), none, generator())
        assert (found.item() > 0) == remember
        if remember:
            fresh = high_quality()
            fresh(normal(3, WIDTH), names, normal(2, WIDTH, seed=1), names[:2], generator())
            same = fresh(
                normal(3, WIDTH, seed=2), names, normal(2, WIDTH, seed=1), names[:2], generator()
            )
            torch.testing.assert_close(found, same)


def distance_by_loop(queue, features, probabilities, near, far, reduction="sum") -> float:
    """Eq. 13 and 17: candidates are the other queries and the queue of (unit feature, p)."""
    unit = features / features.norm(dim=1, keepdim=True)
    pool = [*zip(unit, probabilities, strict=True), *queue]
    losses = []
    for m, (r, p) in enumerate(zip(unit, probabilities, strict=True)):
        others = [pair for index, pair in enumerate(pool) if index != m]
        ranked = sorted(others, key=lambda pair: cosine(r, pair[0]))
        attraction = [(p @ q).item() for _, q in ranked[-near:]]
        repulsion = [(p @ q).item() for _, q in ranked[:far]]
        per_near, per_far = (near, far) if reduction == "mean" else (1, 1)
        losses.append(sum(repulsion) / per_far - sum(attraction) / per_near)
    queue.extend(zip(unit, probabilities, strict=True))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("queue_size", [0, 20, 1000])
def test_distance_contrast_equals_the_loop_over_several_steps(queue_size, reduction):
    module = DistanceContrast(CLASSES, WIDTH, 3, 4, queue_size, reduction)
    queue = deque(maxlen=queue_size)
    for seed in range(4):
        features = normal(11, WIDTH, seed=seed)
        probabilities = normal(11, CLASSES, seed=50 + seed).softmax(1)
        found = module(features, probabilities)
        expected = distance_by_loop(queue, features, probabilities, 3, 4, reduction)
        assert found.item() == pytest.approx(expected, rel=1e-4)


def test_without_a_queue_the_past_is_irrelevant():
    features, probabilities = normal(11, WIDTH), normal(11, CLASSES).softmax(1)
    for queue_size, same in ((0, True), (100, False)):
        module = DistanceContrast(CLASSES, WIDTH, 3, 4, queue_size, "sum")
        first = module(features, probabilities)
        module(normal(11, WIDTH, seed=1), probabilities.flip(1))
        assert (module(features, probabilities) == first) == same


def test_the_gradient_goes_to_the_probabilities_of_the_queries_alone():
    module = DistanceContrast(CLASSES, WIDTH, 3, 4, 100, "sum")
    features, logits = normal(11, WIDTH).requires_grad_(), normal(11, CLASSES)
    probabilities = logits.softmax(1).requires_grad_()
    module(features, probabilities).backward()
    assert features.grad is None
    # Candidates are constants: -sum of the neighbours + sum of the outsiders, over 11 queries.
    unit = torch.nn.functional.normalize(features.detach(), dim=1)
    similarity = (unit @ unit.T).fill_diagonal_(torch.nan)
    p = probabilities.detach()
    for m in range(11):
        order = [n for n in similarity[m].argsort().tolist() if n != m]
        expected = (p[order[:4]].sum(0) - p[order[-3:]].sum(0)) / 11
        torch.testing.assert_close(probabilities.grad[m], expected)


@pytest.mark.parametrize(("queries", "enough"), [(0, False), (1, False), (7, False), (8, True)])
def test_fewer_candidates_than_both_sets_need_give_0_but_enter_the_queue(queries, enough):
    module = DistanceContrast(CLASSES, WIDTH, 3, 4, 100, "sum")
    probabilities = normal(queries, CLASSES).softmax(1).requires_grad_()
    loss = module(normal(queries, WIDTH, seed=1), probabilities)
    loss.backward()
    assert (loss.item() != 0) == enough
    assert probabilities.grad.isfinite().all()
    assert len(module.features.content()) == len(module.probabilities.content()) == queries


def test_no_queries_beside_a_full_queue_give_0():
    module = DistanceContrast(CLASSES, WIDTH, 3, 4, 100, "mean")
    module(normal(20, WIDTH), normal(20, CLASSES).softmax(1))
    assert module(normal(0, WIDTH), normal(0, CLASSES)).item() == 0


def test_an_unknown_reduction_is_refused():
    with pytest.raises(InputError, match=r"method.reduction: 'max'"):
        DistanceContrast(CLASSES, WIDTH, 3, 4, 100, "max")
