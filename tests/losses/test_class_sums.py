"""Counts of, and sums over, the voxels of each class."""

import numpy as np
import pytest
import torch

from dvcl.losses.class_sums import (
    counts_per_class,
    of_own_class,
    sizes_of_groups,
    sums_per_class,
)


def test_sums_per_class_equal_the_loop():
    random = torch.Generator().manual_seed(0)
    maps = torch.rand(2, 3, 2, 3, 2, generator=random, dtype=torch.float64)
    labels = torch.randint(3, (2, 2, 3, 2), generator=random)
    expected = [0.0] * 3
    for b, d, h, w in np.ndindex(*labels.shape):
        c = labels[b, d, h, w].item()
        expected[c] += maps[b, c, d, h, w].item()
    found = sums_per_class(of_own_class(maps, labels), labels, 3)
    assert found.tolist() == pytest.approx(expected)
    one = torch.ones_like(labels)
    assert sums_per_class(of_own_class(maps, one), one, 3)[[0, 2]].tolist() == [0, 0]


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (7,), (1, 9, 1, 1), (0, 3)])
def test_counts_per_class_are_those_of_bincount(shape):
    labels = torch.randint(3, shape, generator=torch.Generator().manual_seed(0))
    found = counts_per_class(labels, 5)
    assert found.dtype == torch.int64
    assert torch.equal(found, labels.flatten().bincount(minlength=5))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_sizes_of_groups_end_with_the_last_group(dtype):
    assert sizes_of_groups(torch.tensor([0, 0, 2, 3, 255], dtype=dtype), 3) == [2, 0, 1]
    assert sizes_of_groups(torch.tensor([], dtype=dtype), 2) == [0, 0]


def test_sums_over_millions_of_voxels_keep_their_digits():
    values = torch.full((1, 40, 400, 400), 0.97)
    labels = torch.zeros(values.shape, dtype=torch.int64)
    found = sums_per_class(values, labels, 2)
    assert found[0].item() == pytest.approx(0.97 * values.numel(), rel=1e-5)
    assert found[1].item() == 0
