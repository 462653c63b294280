"""Draws of unreliable voxels, numbers among all voxels, and their rows."""

from functools import partial

import numpy as np
import pytest
import torch

from dvcl.losses.entropy import Selection
from dvcl.losses.voxel_sampling import NOBODY
from dvcl.methods.voxel_sets import among_all, contrast_codes, draw_unreliable, gather_pooled
from dvcl.networks.heads import gather_voxels

SHAPE = (2, 3, 4, 5)
SIZE = 2 * 3 * 4 * 5


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def selection(seed: int, share: float = 0.7, classes: int = 3) -> Selection:
    labels = torch.randint(classes, SHAPE, generator=generator(seed))
    reliable = torch.rand(SHAPE, generator=generator(seed + 1)) < share
    return Selection(labels, torch.zeros(SHAPE), reliable)


def unreliable(chosen: Selection) -> set[int]:
    return {v for v, known in enumerate(chosen.reliable.flatten().tolist()) if not known}


def test_each_network_draws_its_own_unreliable_voxels():
    a, b = selection(0), selection(10)
    for count in (5, 1000):
        mine, theirs = draw_unreliable([a, b], count, generator())
        assert set(mine.tolist()) <= unreliable(a)
        assert {v - SIZE for v in theirs.tolist()} <= unreliable(b)
        assert len(mine) == min(count, len(unreliable(a))) == len(set(mine.tolist()))


@pytest.mark.parametrize("balance_over", [None, 3])
def test_two_views_are_the_same_places_where_either_network_is_unreliable(balance_over):
    a, b = selection(0), selection(10)
    mine, theirs = draw_unreliable([a, b], 1000, generator(), balance_over, same_places=True)
    assert torch.equal(mine + SIZE, theirs)
    assert set(mine.tolist()) == unreliable(a) | unreliable(b)
    some, _ = draw_unreliable([a, b], 9, generator(), balance_over, same_places=True)
    assert len(some) == 9
    if balance_over:
        assert a.pseudo_labels.flatten()[some].bincount().tolist() == [3, 3, 3]


@pytest.mark.parametrize("radius", [1, 2])
@pytest.mark.parametrize("same_places", [False, True])
def test_draws_near_boundaries_equal_the_loop(radius, same_places):
    """Labels of slabs, whose boundaries lie between H = 1 and 2 (A), and D = 0 and 1 (B)."""
    a, b = selection(0, share=0.4), selection(10, share=0.4)
    slabs = torch.arange(4)[None, None, :, None].expand(SHAPE) >= 2, torch.zeros(SHAPE).bool()
    slabs[1][:, 0] = True
    a, b = (one._replace(pseudo_labels=s.long()) for one, s in zip((a, b), slabs, strict=True))
    mine, theirs = draw_unreliable(
        [a, b], 1000, generator(), same_places=same_places, boundary=radius
    )
    expected = []
    for chosen, slab in zip((a, b), slabs, strict=True):
        found = set()
        for number, (u, *place) in enumerate(np.ndindex(SHAPE)):
            cube = tuple(slice(max(x - radius, 0), x + radius + 1) for x in place)
            if len(slab[(u, *cube)].unique()) > 1 and not chosen.reliable[(u, *place)]:
                found.add(number)
        assert 0 < len(found) < len(unreliable(chosen)) or radius == 2
        expected.append(found)
    if same_places:
        expected = [expected[0] | expected[1]] * 2
    assert [set(mine.tolist()), {v - SIZE for v in theirs.tolist()}] == expected


@pytest.mark.parametrize("same_places", [False, True])
@pytest.mark.parametrize("balance_over", [None, 3])
def test_nothing_unreliable_draws_nothing(balance_over, same_places):
    sure = selection(0, share=1.1)
    found = draw_unreliable([sure, sure], 5, generator(), balance_over, same_places)
    assert [len(voxels) for voxels in found] == [0, 0]


def test_numbers_among_all_voxels():
    # Two labelled patches of 4 voxels stand before three unlabelled ones, in each network.
    labels, other = torch.zeros(2, 1, 1, 4), Selection(*3 * [torch.zeros(3, 1, 1, 4)])
    found = among_all(torch.tensor([0, 11, 12, 23]), labels, [other, other])
    assert found.tolist() == [8, 19, 20 + 8, 20 + 19]


def test_pooled_gathering_equals_picking_voxel_by_voxel():
    random = torch.Generator().manual_seed(0)
    maps = [torch.randn((2, 3, 2, 3, 4), generator=random) for _ in range(2)]
    rows_at = [partial(gather_voxels, values) for values in maps]
    heads = [lambda rows: 2 * rows, lambda rows: -rows]
    voxels = torch.tensor([95, 0, 47, 48, 3, 3, 24])
    found = gather_pooled(voxels, 48, rows_at, heads)
    flat = [values.movedim(1, -1).reshape(-1, 3) for values in maps]
    expected = [heads[v // 48](flat[v // 48][v % 48]) for v in voxels.tolist()]
    torch.testing.assert_close(found, torch.stack(expected))
    assert gather_pooled(voxels[:0], 48, rows_at, heads).shape == (0, 3)
    alone = gather_pooled(voxels[1:2], 48, rows_at, heads)
    torch.testing.assert_close(alone, found[1:2])


def test_codes_equal_the_loop():
    logs = [torch.randn((2, 3, 3, 4, 5), generator=generator(seed)) for seed in (4, 5)]
    labels = torch.randint(3, SHAPE, generator=generator(6))
    selections = [selection(0), selection(10)]
    anchors, wrong = contrast_codes(tuple(logs), labels, selections)
    expected_anchors, expected_wrong = [], []
    for log, chosen in zip(logs, selections, strict=True):
        predicted, truth = log.argmax(1).flatten().tolist(), labels.flatten().tolist()
        expected_anchors += [p if p == y else NOBODY for p, y in zip(predicted, truth, strict=True)]
        expected_wrong += [p if p != y else NOBODY for p, y in zip(predicted, truth, strict=True)]
        pseudo, known = chosen.pseudo_labels.flatten().tolist(), chosen.reliable.flatten().tolist()
        expected_anchors += [c if r else NOBODY for c, r in zip(pseudo, known, strict=True)]
        expected_wrong += [NOBODY] * SIZE
    assert anchors.flatten().tolist() == expected_anchors
    assert wrong.flatten().tolist() == expected_wrong
