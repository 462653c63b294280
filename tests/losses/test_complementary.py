"""CCL's complementary labels, pairs and contrast against loops over pairs."""

import math

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn import functional as F

from dvcl.losses.complementary import complementary_labels, pair_contrast, pair_masks


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=random, dtype=torch.float64)


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    return F.normalize(normal(*shape, seed=seed), dim=1)


@pytest.mark.parametrize("count", [1, 3, 4])
def test_complementary_labels_are_the_least_probable(count):
    logs = normal(6, 5).log_softmax(1)
    found = complementary_labels(logs, count)
    for row, mask in zip(logs.tolist(), found.tolist(), strict=True):
        order = sorted(range(5), key=lambda c: row[c])
        assert {c for c in range(5) if mask[c]} == set(order[:count])
        assert not mask[order[-1]]


def masks_by_loop(labels: list[int], complementary: list[list[bool]]):
    """Rows as (label, voxel): one of them is None."""
    doubtful = list(range(len(complementary)))
    rows = [(label, None) for label in labels] + [(None, v) for v in doubtful + doubtful]
    size = len(rows)
    positives = [[False] * size for _ in range(size)]
    allowed = [[False] * size for _ in range(size)]
    for i, (label, voxel) in enumerate(rows):
        for j, (other, other_voxel) in enumerate(rows):
            if i == j:
                continue
            if label is not None and other is not None:
                positives[i][j], allowed[i][j] = label == other, True
            elif label is None and other is None:
                positives[i][j] = allowed[i][j] = voxel == other_voxel
            elif label is None:
                allowed[i][j] = complementary[voxel][other]
            else:
                allowed[i][j] = complementary[other_voxel][label]
    return positives, allowed


@pytest.mark.parametrize(
    ("labels", "doubtful"), [([0, 1, 1, 2, 2, 2], 4), ([], 3), ([0, 0, 3], 0), ([2], 1), ([], 0)]
)
def test_pairs_equal_the_loop(labels, doubtful):
    complementary = complementary_labels(normal(doubtful, 4), 2)
    found = pair_masks(torch.tensor(labels, dtype=torch.int64), complementary)
    expected = masks_by_loop(labels, complementary.tolist())
    size = len(labels) + 2 * doubtful
    for mask, rows in zip(found, expected, strict=True):
        assert mask.shape == (size, size)
        assert mask.tolist() == rows
        assert torch.equal(mask, mask.T)


def contrast_by_loop(features, positives, allowed, temperature, divide_by) -> float:
    rows, losses = features.tolist(), []
    for i, row in enumerate(rows):
        s = [sum(a * b for a, b in zip(row, other, strict=True)) / temperature for other in rows]
        attracted = [j for j in range(len(rows)) if positives[i][j]]
        if not attracted:
            continue
        normaliser = math.log(sum(math.exp(s[k]) for k in range(len(rows)) if allowed[i][k]))
        count = len(attracted) if divide_by == "positives" else len(rows)
        losses.append(-sum(s[j] - normaliser for j in attracted) / count)
    return sum(losses) / len(losses)


@pytest.mark.parametrize("divide_by", ["positives", "rows"])
@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_the_contrast_equals_the_loop(temperature, divide_by):
    labels = torch.tensor([0, 1, 1, 2, 2, 2])
    masks = pair_masks(labels, complementary_labels(normal(4, 4, seed=5), 2))
    features = unit(14, 3)
    found = pair_contrast(features, *masks, temperature, divide_by)
    expected = contrast_by_loop(features, *masks, temperature, divide_by)
    assert found.item() == pytest.approx(expected, rel=1e-10)


def test_the_contrast_by_hand():
    # Two voxels of a class on one axis, one of another class across: each of the two has
    # -[1 - log(e + 1)]; the third has no positive and is left out.
    features = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    masks = pair_masks(torch.tensor([0, 0, 1]), torch.zeros(0, 2, dtype=torch.bool))
    found = pair_contrast(features, *masks, 1.0)
    assert found.item() == pytest.approx(math.log(math.e + 1) - 1)
    literal = pair_contrast(features, *masks, 1.0, "rows")
    assert literal.item() == pytest.approx((math.log(math.e + 1) - 1) / 3)


def test_a_doubtful_voxel_alone_with_its_view_costs_nothing():
    masks = pair_masks(torch.empty(0, dtype=torch.int64), complementary_labels(normal(1, 3), 2))
    features = unit(2, 3).requires_grad_()
    loss = pair_contrast(features, *masks, 0.07)
    loss.backward()
    assert loss.item() == pytest.approx(0)
    assert features.grad.abs().max() < 1e-9


@pytest.mark.parametrize("labels", [[], [3], [0, 1, 2]])
def test_rows_without_any_positive_give_0(labels):
    masks = pair_masks(torch.tensor(labels, dtype=torch.int64), normal(0, 4) > 0)
    features = unit(len(labels), 3).requires_grad_()
    loss = pair_contrast(features, *masks, 0.07)
    loss.backward()
    assert loss.item() == 0
    assert features.grad.shape == features.shape
    assert features.grad.abs().sum() == 0


def test_equal_features_give_the_logarithm_of_the_company():
    masks = pair_masks(torch.tensor([0, 0, 1, 1]), normal(0, 2) > 0)
    found = pair_contrast(torch.ones(4, 2) / math.sqrt(2), *masks, 0.5)
    assert found.item() == pytest.approx(math.log(3))


def test_gradients_of_the_contrast():
    masks = pair_masks(torch.tensor([0, 1, 1, 2]), complementary_labels(normal(2, 3), 2))
    assert gradcheck(lambda f: pair_contrast(f, *masks, 0.5), unit(8, 3).requires_grad_())
