"""The tiled search against sorting everything."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dvcl.losses.neighbours import TILE, find_neighbours

GROUP = 16  # of few candidates
SIZES = [
    (1, 2, 1, 1),
    (5, 31, 31, 31),
    (3, GROUP + 1, 10, 15),
    (7, 4 * GROUP, 10, 15),
    (TILE + 1, 12 * GROUP - 1, 4, 70),
    (TILE - 1, 1000, 10, 15),
    (2 * TILE, 129, 2, 3),
    # Groups grow with the candidates.
    (9, 2047, 10, 15),
    (9, 2049, 10, 15),
    (3, 16_383, 10, 15),
    (3, 16_385, 10, 15),
]


def integers(rows: int, width: int, largest: int, seed: int) -> torch.Tensor:
    """Small whole numbers: float32 adds them exactly, so there is one right order."""
    random = torch.Generator().manual_seed(seed)
    return torch.randint(-largest, largest + 1, (rows, width), generator=random).float()


def sort_everything(queries, candidates, neighbours, outsiders, itself=None, foreign=None):
    """Rank all candidates by (similarity, index) in float64, for outsiders ``foreign`` ones."""
    scores = queries.double().numpy() @ candidates.double().numpy().T
    near, far = [], []
    for row, similarity in enumerate(scores):
        own = -1 if itself is None else int(itself[row])
        index = np.array([i for i in range(len(similarity)) if i != own])
        near.append(index[np.lexsort((index, -similarity[index]))][:neighbours])
        index = index if foreign is None else index[foreign[row][index]]
        far.append(index[np.lexsort((index, similarity[index]))][:outsiders])
    return np.array(near), np.array(far)


@pytest.mark.parametrize(("queries", "candidates", "neighbours", "outsiders"), SIZES)
@pytest.mark.parametrize("largest", [2, 1000])  # with many ties, and with hardly any
def test_equals_sorting_everything(queries, candidates, neighbours, outsiders, largest):
    rows, others = integers(queries, 3, largest, 0), integers(candidates, 3, largest, 1)
    found = find_neighbours(rows, others, neighbours, outsiders)
    near, far = sort_everything(rows, others, neighbours, outsiders)
    np.testing.assert_array_equal(found.neighbours, near)
    np.testing.assert_array_equal(found.outsiders, far)


@pytest.mark.parametrize("count", [17, TILE, TILE + 44])
@pytest.mark.parametrize("largest", [1, 1000])
def test_a_query_is_never_its_own_neighbour(count, largest):
    rows = integers(count, 4, largest, 2)
    itself = torch.arange(count)
    itself[::5] = -1  # these queries are not among the candidates
    found = find_neighbours(rows, rows, 10, 15, itself)
    near, far = sort_everything(rows, rows, 10, 15, itself)
    np.testing.assert_array_equal(found.neighbours, near)
    np.testing.assert_array_equal(found.outsiders, far)


@pytest.mark.parametrize(("queries", "candidates", "neighbours", "outsiders"), SIZES[3:])
@pytest.mark.parametrize("largest", [2, 1000])
def test_outsiders_of_other_classes_alone(queries, candidates, neighbours, outsiders, largest):
    rows, others = integers(queries, 3, largest, 0), integers(candidates, 3, largest, 1)
    mine, theirs = (
        integers(queries, 1, 1, 2)[:, 0].long(),
        integers(candidates, 1, 1, 3)[:, 0].long(),
    )
    found = find_neighbours(rows, others, neighbours, outsiders, classes=(mine, theirs))
    foreign = (mine.unsqueeze(1) != theirs).numpy()
    assert foreign.sum(1).min() >= outsiders
    near, far = sort_everything(rows, others, neighbours, outsiders, foreign=foreign)
    np.testing.assert_array_equal(found.neighbours, near)
    np.testing.assert_array_equal(found.outsiders, far)


def test_a_row_without_enough_outsiders_of_other_classes_is_filled_with_its_own():
    rows, classes = integers(100, 3, 9, 0), torch.arange(100) // 97
    found = find_neighbours(rows, rows, 2, 5, torch.arange(100), (classes, classes))
    shown = classes[found.outsiders]
    assert (shown[:97] == torch.tensor([1, 1, 1, 0, 0])).all()
    assert (shown[97:] == 0).all()


def test_all_candidates_alike_come_in_order_of_index():
    rows = torch.ones(3, 2)
    found = find_neighbours(rows, torch.ones(200, 2), 5, 70, torch.tensor([0, 3, -1]))
    assert found.neighbours.tolist() == [[1, 2, 3, 4, 5], [0, 1, 2, 4, 5], [0, 1, 2, 3, 4]]
    assert found.outsiders[1].tolist() == [index for index in range(71) if index != 3]


def test_zero_and_minus_zero_are_equal():
    # Products too small for float32 are zeros, whatever their sign.
    candidates = torch.tensor([[1e-30], [-1e-30], [1e-30], [-1e-30]])
    for query in (1e-30, -1e-30):
        found = find_neighbours(torch.tensor([[query]]), candidates, 4, 4)
        assert found.neighbours.tolist() == found.outsiders.tolist() == [[0, 1, 2, 3]]


def test_unit_vectors_of_any_direction():
    random = torch.Generator().manual_seed(0)
    rows = F.normalize(torch.randn(300, 32, generator=random), dim=1)
    others = F.normalize(torch.randn(777, 32, generator=random), dim=1)
    found = find_neighbours(rows, others, 10, 15)
    scores = rows.double() @ others.double().T
    ranked = scores.sort(1).values
    # Rounding may swap two candidates whose similarities differ by less than float32 resolves.
    tolerance = {"rtol": 0, "atol": 1e-6}
    near, far = scores.gather(1, found.neighbours), scores.gather(1, found.outsiders)
    torch.testing.assert_close(near, ranked[:, -10:].flip(1), **tolerance)
    torch.testing.assert_close(far, ranked[:, :15], **tolerance)


def test_everyone_may_be_wanted():
    rows = integers(6, 2, 3, 0)
    found = find_neighbours(rows, rows, 5, 5, torch.arange(6))
    assert [sorted(r) for r in found.neighbours.tolist()] == [
        [index for index in range(6) if index != own] for own in range(6)
    ]


@pytest.mark.parametrize(("count", "neighbours", "outsiders"), [(6, 6, 1), (6, 1, 6), (1, 1, 1)])
def test_too_few_candidates_are_refused(count, neighbours, outsiders):
    rows = torch.ones(count, 2)
    with pytest.raises(ValueError, match=f"{count - 1} candidates for {neighbours}"):
        find_neighbours(rows, rows, neighbours, outsiders, torch.arange(count))


def test_no_queries_and_no_gradient():
    rows = torch.ones(4, 2, requires_grad=True)
    found = find_neighbours(rows[:0], rows, 2, 3)
    assert (found.neighbours.shape, found.outsiders.shape) == ((0, 2), (0, 3))
    assert not find_neighbours(rows, rows, 2, 3).neighbours.requires_grad
