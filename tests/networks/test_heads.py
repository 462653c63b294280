"""Heads on gathered voxels equal heads on the whole map."""

import pytest
import torch

from dvcl.networks.heads import FeatureHead, gather_voxels


def maps_of(layout=torch.contiguous_format) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.randn((2, 3, 4, 2, 5), generator=random).to(memory_format=layout)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_the_head_on_gathered_voxels_equals_the_head_everywhere(layout):
    # The last voxel, the first of the second patch, and one twice.
    voxels = torch.tensor([79, 0, 40, 17, 17])
    head = FeatureHead(3, 6)
    dense, sampled = (maps_of(layout).requires_grad_() for _ in range(2))
    everywhere = head(dense.movedim(1, -1)).flatten(0, 3)
    weights = torch.randn((5, 6), generator=torch.Generator().manual_seed(1))
    (weights * everywhere[voxels]).sum().backward()
    expected = [weight.grad.clone() for weight in head.parameters()]
    head.zero_grad()
    found = head(gather_voxels(sampled, voxels))
    torch.testing.assert_close(found, everywhere[voxels])
    (weights * found).sum().backward()
    torch.testing.assert_close(sampled.grad, dense.grad)
    torch.testing.assert_close([weight.grad for weight in head.parameters()], expected)


def test_rows_are_float32_whatever_the_map_is():
    maps = maps_of().bfloat16()
    rows = gather_voxels(maps, torch.tensor([3]))
    assert rows.dtype == torch.float32
    torch.testing.assert_close(rows[0], maps[0, :, 0, 0, 3].float())


def test_no_voxels_give_no_rows():
    assert gather_voxels(maps_of(), torch.empty(0, dtype=torch.int64)).shape == (0, 3)
