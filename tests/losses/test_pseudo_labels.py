"""Voxels near boundaries against a loop over all pairs of voxels."""

import numpy as np
import pytest
import torch

from dvcl.losses.pseudo_labels import near_boundaries


@pytest.mark.parametrize("radius", [1, 2, 9])
def test_near_boundaries_equals_the_loop(radius):
    random = torch.Generator().manual_seed(0)
    labels = torch.zeros((3, 5, 6, 7), dtype=torch.int64)
    for seeds in range(2):  # single voxels of other classes; the third patch has none
        places = torch.randint(5, (3,), generator=random)
        labels[(seeds, *places)] = 1 + torch.randint(6, (), generator=random)
    found = near_boundaries(labels, radius)
    places = list(np.ndindex(labels.shape[1:]))
    for patch, near in zip(labels, found, strict=True):
        for here in places:
            others = (
                there
                for there in places
                if max(abs(x - y) for x, y in zip(here, there, strict=True)) <= radius
            )
            assert near[here] == any(patch[here] != patch[there] for there in others)
    assert found[:2].any()
    assert not found[2].any()


def test_a_boundary_in_one_line_of_voxels():
    line = torch.tensor([4, 4, 4, 4, 2, 2, 2, 5]).reshape(1, 1, 1, 8)
    near = [
        [index for index in range(8) if near_boundaries(line, r)[0, 0, 0, index]] for r in (1, 2)
    ]
    assert near == [[3, 4, 6, 7], [2, 3, 4, 5, 6, 7]]
