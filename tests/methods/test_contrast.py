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


def per_class(rows: torch.Tensor, classes: torch.Tensor) -> list[torch.Tensor]:
    return [rows[classes == c] for c in range(CLASSES)]


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
        found = module(per_class(anchors, classes), per_class(negatives, wrong), random)
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
    loss = high_quality()(per_class(anchors, names[0]), per_class(negatives, names[1]), generator())
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
    module(per_class(anchors, names), per_class(negatives, names[:3]), generator()).backward()
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
    def of_class_0(count, seed=0):
        return per_class(normal(count, WIDTH, seed=seed), torch.zeros(count, dtype=torch.int64))

    for remember in (False, True):
        module = high_quality(remember_negatives=remember)
        module(of_class_0(3), of_class_0(2, seed=1), generator())
        found = module(of_class_0(3, seed=2), of_class_0(0), generator())
        assert (found.item() > 0) == remember
        if remember:
            fresh = high_quality()
            fresh(of_class_0(3), of_class_0(2, seed=1), generator())
            same = fresh(of_class_0(3, seed=2), of_class_0(2, seed=1), generator())
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


def test_banks_tell_unit_features_and_certain_classes():
    module = high_quality(bank_size=2)
    anchors = [normal(3, WIDTH), normal(0, WIDTH), normal(1, WIDTH, seed=1)]
    module(anchors, [normal(0, WIDTH)] * 3, generator())
    rows, classes = module.trusted()
    found = {
        (c, *(round(x, 5) for x in r))
        for r, c in zip(rows.tolist(), classes.argmax(1).tolist(), strict=True)
    }
    expected = {
        (c, *(round(x / math.hypot(*row), 5) for x in row))
        for c, kept in ((0, anchors[0][1:]), (2, anchors[2]))
        for row in kept.tolist()
    }
    assert found == expected
    assert (classes.sum(1) == 1).all()
    assert not classes.requires_grad


@pytest.mark.parametrize("queue_size", [0, 20])
def test_more_candidates_equal_the_loop_over_several_steps(queue_size):
    module = DistanceContrast(CLASSES, WIDTH, 3, 4, queue_size, "sum")
    queue = deque(maxlen=queue_size)
    for seed in range(3):
        features = normal(11, WIDTH, seed=seed)
        probabilities = normal(11, CLASSES, seed=50 + seed).softmax(1)
        trusted = normal(9, WIDTH, seed=90 + seed)
        trusted /= trusted.norm(dim=1, keepdim=True)
        classes = torch.eye(CLASSES)[torch.arange(9) % CLASSES]
        found = module(features, probabilities, (trusted, classes))
        past = [*queue]
        pool = [*past, *zip(trusted, classes, strict=True)]
        expected = distance_by_loop(pool, features, probabilities, 3, 4)
        queue.extend(pool[-11:])
        assert found.item() == pytest.approx(expected, rel=1e-4)
        assert module.candidates == 10 + len(past) + 9


def foreign_by_loop(loss, queue, features, probabilities, near, far) -> float:
    """Outsiders of another most probable class than the query's; others have no part."""
    unit = features / features.norm(dim=1, keepdim=True)
    pool = [*zip(unit, probabilities, strict=True), *queue]
    losses = []
    for m, (r, p) in enumerate(zip(unit.double(), probabilities.double(), strict=True)):
        others = [pair for index, pair in enumerate(pool) if index != m]
        ranked = sorted(others, key=lambda pair: cosine(r, pair[0]))
        strangers = [(q, s) for q, s in ranked if s.argmax() != p.argmax()][:far]
        if len(strangers) < far:
            continue
        attraction = sum((p @ s.double()).item() for _, s in ranked[-near:])
        repulsion = sum((p @ s.double()).item() for _, s in strangers)
        t = sum(math.exp(cosine(r, q)) for q, _ in strangers)
        s = [cosine(r, q) for q, _ in ranked[-near:]]
        info_nce = sum(math.log(math.exp(x) + t) - x for x in s) / near
        losses.append(repulsion - attraction if loss == "loglikelihood" else info_nce)
    queue.extend(zip(unit, probabilities, strict=True))
    return sum(losses) / len(losses) if losses else 0.0


@pytest.mark.parametrize("loss", ["loglikelihood", "infonce"])
def test_outsiders_of_other_classes_equal_the_loop_over_several_steps(loss):
    module = DistanceContrast(CLASSES, WIDTH, 3, 4, 20, "sum", loss, 1.0, foreign_outsiders=True)
    queue = deque(maxlen=20)
    for seed in range(4):
        features = normal(11, WIDTH, seed=seed)
        # At first queries of class 0 have fewer than four strangers.
        bias = torch.tensor([1.0, 0.0, 0.0])
        probabilities = (normal(11, CLASSES, seed=50 + seed) + bias).softmax(1)
        found = module(features, probabilities)
        if seed == 0:
            assert 0 < (probabilities.argmax(1) != 0).sum() < 4
        expected = foreign_by_loop(loss, queue, features, probabilities, 3, 4)
        assert expected != 0
        assert found.item() == pytest.approx(expected, rel=1e-4)


def test_without_voxels_of_other_classes_nothing_is_contrasted():
    module = DistanceContrast(CLASSES, WIDTH, 3, 4, 100, "sum", foreign_outsiders=True)
    probabilities = torch.eye(CLASSES)[:1].repeat(11, 1).requires_grad_()
    found = module(normal(11, WIDTH), probabilities)
    found.backward()
    assert found.item() == 0
    assert not probabilities.grad.any()
    broken = module(normal(11, WIDTH).fill_(math.nan), probabilities)
    assert broken.isnan()


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


# The other losses on the same sets.


def kl(p: torch.Tensor, q: torch.Tensor) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p.tolist(), q.tolist(), strict=True))


def other_by_loop(loss, queue, features, probabilities, near, far, temperature) -> float:
    """One step of a variant in float64; candidates as in `distance_by_loop`."""
    unit = features / features.norm(dim=1, keepdim=True)
    pool = [*zip(unit.double(), probabilities.double(), strict=True), *queue]
    losses, neighbourhood = [], []
    for m, (r, p) in enumerate(zip(unit.double(), probabilities.double(), strict=True)):
        others = [pair for index, pair in enumerate(pool) if index != m]
        ranked = sorted(others, key=lambda pair: cosine(r, pair[0]))
        friends, strangers = ranked[-near:], ranked[:far]
        s = [cosine(r, q) / temperature for q, _ in friends]
        t = [cosine(r, q) / temperature for q, _ in strangers]
        mean_s, sum_s = sum(s) / near, sum(math.exp(x) for x in s)
        mean_t, sum_t = sum(t) / far, sum(math.exp(x) for x in t)
        neighbourhood.append(sum(q for _, q in friends) / near)
        losses.append(
            {
                "infonce": sum(math.log(math.exp(x) + sum_t) - x for x in s) / near,
                "simclr": math.log(sum_s) - mean_s - math.log(sum_t) + mean_t,
                "simclr_union": math.log(sum_s + sum_t) - mean_s,
                "kl": sum(kl(p, q) for _, q in friends) / near
                - sum(min(kl(p, q), math.log(CLASSES)) for _, q in strangers) / far,
                "nccl": -(neighbourhood[-1] * p.log()).sum().item(),
            }[loss]
        )
    queue.extend(pool[: len(unit)])
    total = sum(losses) / len(losses)
    if loss == "nccl":
        p, q = probabilities.double(), torch.stack(neighbourhood)
        table = [
            [cosine(p[:, c], q[:, d]) / temperature for d in range(CLASSES)] for c in range(CLASSES)
        ]
        total -= sum(
            math.log(math.exp(row[c]) / sum(map(math.exp, row))) for c, row in enumerate(table)
        ) / len(table)
    return total


OTHERS = ["infonce", "simclr", "simclr_union", "kl", "nccl"]


@pytest.mark.parametrize("loss", OTHERS)
@pytest.mark.parametrize("queue_size", [0, 20])
def test_the_other_losses_equal_their_loop_over_several_steps(loss, queue_size):
    module = DistanceContrast(CLASSES, WIDTH, 3, 4, queue_size, "sum", loss, 0.5)
    queue = deque(maxlen=queue_size)
    for seed in range(3):
        features = normal(9, WIDTH, seed=seed)
        probabilities = normal(9, CLASSES, seed=50 + seed).softmax(1)
        found = module(features, probabilities)
        expected = other_by_loop(loss, queue, features, probabilities, 3, 4, 0.5)
        assert found.item() == pytest.approx(expected, rel=1e-4)
        assert found.shape == ()


@pytest.mark.parametrize("loss", OTHERS)
def test_the_other_losses_reach_either_features_or_probabilities(loss):
    module = DistanceContrast(CLASSES, WIDTH, 3, 4, 100, "sum", loss, 0.5)
    features = normal(11, WIDTH).requires_grad_()
    probabilities = normal(11, CLASSES, seed=1).softmax(1).requires_grad_()
    module(features, probabilities).backward()
    moved, still = probabilities, features
    if loss in ("infonce", "simclr", "simclr_union"):
        moved, still = still, moved
        # Only a direction matters, so that no gradient lies along the feature itself.
        along = (moved.grad * moved).sum(1).detach()
        torch.testing.assert_close(along, torch.zeros(11), atol=1e-6, rtol=0)
    assert moved.grad.abs().sum(1).min() > 0
    assert still.grad is None


@pytest.mark.parametrize("loss", ["infonce", "kl"])
def test_the_candidates_of_the_other_losses_are_constants(loss):
    """One moved query changes the others' losses, but its gradient holds its own loss alone."""

    def mean_loss(p: torch.Tensor, candidates: torch.Tensor) -> torch.Tensor:
        rows, others = (features, candidates) if loss == "kl" else (p, candidates)
        unit = torch.nn.functional.normalize(rows, dim=1).detach()
        ranked = (unit @ unit.T).fill_diagonal_(torch.nan).argsort(1)[:, :-1]
        near, far = others[ranked[:, -3:]], others[ranked[:, :4]]
        if loss == "kl":
            attraction, repulsion = (
                (p.unsqueeze(1) * (p.unsqueeze(1) / q).log()).sum(2) for q in (near, far)
            )
            return (attraction.mean(1) - repulsion.clamp(max=math.log(CLASSES)).mean(1)).mean()
        cosines = torch.nn.functional.cosine_similarity
        s, t = (cosines(p.unsqueeze(1), q, dim=2).exp() for q in (near, far))
        return -(s / (s + t.sum(1, keepdim=True))).log().mean()

    features, probabilities = normal(11, WIDTH), normal(11, CLASSES, seed=1).softmax(1)
    moved = (probabilities if loss == "kl" else features).requires_grad_()
    DistanceContrast(CLASSES, WIDTH, 3, 4, 0, "sum", loss)(features, probabilities).backward()
    expected = torch.autograd.grad(mean_loss(moved, moved.detach()), moved)[0]
    torch.testing.assert_close(moved.grad, expected)


@pytest.mark.parametrize("loss", OTHERS)
@pytest.mark.parametrize(("queries", "enough"), [(0, False), (1, False), (7, False), (8, True)])
def test_the_other_losses_wait_for_enough_candidates(loss, queries, enough):
    module = DistanceContrast(CLASSES, WIDTH, 3, 4, 100, "sum", loss)
    probabilities = normal(queries, CLASSES).softmax(1).requires_grad_()
    found = module(normal(queries, WIDTH, seed=1).requires_grad_(), probabilities)
    found.backward()
    assert (found.item() != 0) == enough
    assert len(module.features.content()) == queries
    assert module(normal(0, WIDTH), normal(0, CLASSES)).item() == 0


@pytest.mark.parametrize("loss", OTHERS)
def test_equal_voxels_stay_finite(loss):
    module = DistanceContrast(CLASSES, WIDTH, 3, 4, 100, "sum", loss, 0.5)
    features = torch.ones(9, WIDTH).requires_grad_()
    probabilities = torch.eye(CLASSES)[:1].repeat(9, 1).requires_grad_()
    found = module(features, probabilities)
    found.backward()
    assert found.isfinite()
    for inputs in (features, probabilities):
        assert inputs.grad is None or inputs.grad.isfinite().all()


def test_an_unknown_loss_is_refused():
    with pytest.raises(InputError, match=r"method.distance_loss: 'triplet'"):
        DistanceContrast(CLASSES, WIDTH, 3, 4, 100, "sum", "triplet")
