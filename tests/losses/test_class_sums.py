"""Sums over the voxels of each class."""

import numpy as np
import pytest
import torch

from dvcl.losses.class_sums import of_own_class, sums_per_class


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


def test_sums_over_millions_of_voxels_keep_their_digits():
    values = torch.full((1, 40, 400, 400), 0.97)
    labels = torch.zeros(values.shape, dtype=torch.int64)
    found = sums_per_class(values, labels, 2)
    assert found[0].item() == pytest.approx(0.97 * values.numel(), rel=1e-5)
    assert found[1].item() == 0
